"""What counts as the same training."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from l2zoo.engine.identity import fingerprint, identity_of_model
from tests.search import small


def test_the_fingerprint_sees_values_types_and_shapes() -> None:
    x = np.arange(6, dtype=np.float32)
    others = [x + 1, x.astype(np.float64), x.reshape(2, 3), x[::-1], x[:0]]
    assert fingerprint(x) == fingerprint(x.copy()) == fingerprint(np.repeat(x, 2)[::2])
    assert len({fingerprint(x), *map(fingerprint, others), fingerprint(x, x)}) == 7
    with pytest.raises(TypeError, match="`arrays` must be numeric, got dtype=object"):
        fingerprint(np.array([None]))


def model(l2: float = 1e-3, rate: float = 0.1) -> keras.Model:
    made = small.build(l2)
    made.compile(keras.optimizers.SGD(rate), "mse")
    return made


def test_a_model_is_another_with_another_strength_rate_or_length_of_training_but_not_with_other_weights():
    same = {identity_of_model(model(), epochs=2, batch_size=8) for _ in range(2)}
    others = {
        identity_of_model(model(1e-2), epochs=2, batch_size=8),
        identity_of_model(model(rate=0.2), epochs=2, batch_size=8),
        identity_of_model(model(), epochs=3, batch_size=8),
        identity_of_model(model(), epochs=2, batch_size=9),
    }
    assert len(same) == 1
    assert len(same | others) == 5
