"""`audit(model, step=...)`: what a step really takes off, beside what regularizers and optimizer claim."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo import L2Policy, audit
from tests.regularization.test_training_step import (
    BATCH,
    KERNELS,
    LOSS,
    WithoutPenalties,
    WithPenaltiesTwice,
    model_of,
)


def cells(found: Any, path: str) -> list[str]:
    """The last three cells of a weight's row in the printed table."""
    return next(line for line in str(found).splitlines() if line.startswith(path)).split()[-3:]


def test_a_penalty_that_is_left_out_of_the_loss_is_found() -> None:
    model = model_of(WithoutPenalties)
    assert audit(model).problems == ()
    found = audit(model, step=BATCH)
    paths = ", ".join(KERNELS)
    assert found.problems == (f"2 weights with a penalty that a step does not train: {paths}",)
    assert found.summary.endswith("; a step trains 0 of 2 penalties")
    assert cells(found, "first/kernel") == ["-", "-", "-"]


def test_lambda_and_decay_stand_beside_what_arrives() -> None:
    model = model_of(WithPenaltiesTwice)
    model.compile(L2Policy(1e-2, decoupled=True).optimizer("adamw", model), LOSS)
    found = audit(model, step=[*BATCH, np.ones(12)])
    assert cells(found, "first/kernel") == ["0.002", "0.01", "0.01"]
    assert cells(found, "first/bias") == ["-", "-", "-"]
    assert found.problems == (f"2 weights with 2 times the penalty in a step: {', '.join(KERNELS)}",)
    data = json.loads(json.dumps(found.to_dict()))
    assert data["step"]["last/kernel"]["factor"] == pytest.approx(2, abs=1e-3)
    assert data["step"]["last/kernel"]["decay"] == 0.01
    assert "step" not in audit(model).to_dict()
    assert len(found.section().table.columns) == len(audit(model).table().columns) + 3


def test_decay_that_an_optimizer_undoes_is_found() -> None:
    model = model_of(optimizer=keras.optimizers.Ftrl(0.1, weight_decay=1e-2))
    model.fit(*BATCH, verbose=0)
    [words] = [p for p in audit(model, step=BATCH).problems if "than the optimizer claims" in p]
    assert words.startswith("6 weights with less weight decay in a step than the optimizer claims: first/")


def test_other_regularizers_and_frozen_weights_have_their_cells() -> None:
    model = model_of()
    L2Policy(0.0, l1=1e-3).apply(model, replace=True)
    model.get_layer("last").trainable = False
    model.compile("adam", LOSS)
    model.trainable_weights[0].regularizer = keras.regularizers.OrthogonalRegularizer(0.1)
    found = audit(model, step=BATCH)
    assert cells(found, "first/kernel") == ["x1", "-", "-"]
    assert cells(found, "last/kernel") == ["-", "-", "-"]


def test_a_model_that_is_not_compiled_is_refused() -> None:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=r"`step` needs a compiled model: call compile on 'sequential"):
        audit(model, step=BATCH)
