"""What counts as the same training."""

from __future__ import annotations

import numpy as np
import pytest

from l2zoo.engine.identity import fingerprint


def test_the_fingerprint_sees_values_types_and_shapes() -> None:
    x = np.arange(6, dtype=np.float32)
    others = [x + 1, x.astype(np.float64), x.reshape(2, 3), x[::-1], x[:0]]
    assert fingerprint(x) == fingerprint(x.copy()) == fingerprint(np.repeat(x, 2)[::2])
    assert len({fingerprint(x), *map(fingerprint, others), fingerprint(x, x)}) == 7
    with pytest.raises(TypeError, match="`arrays` must be numeric, got dtype=object"):
        fingerprint(np.array([None]))
