"""Many steps in one execution: how many, and that the numbers are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2zoo import L2Schedule, Strength
from l2zoo.training import fit, pace

Arrays = tuple[np.ndarray, np.ndarray]
Build = Callable[..., keras.Model]


@given(steps=st.integers(1, 5000), longest=st.integers(1, 500))
def test_an_execution_is_never_too_long_and_rarely_short(steps: int, longest: int) -> None:
    execution, divides = pace.divide(steps, longest)
    assert 1 <= execution <= longest
    assert execution >= min(steps, longest / 2, 8)
    assert not divides or steps % execution == 0


@pytest.fixture(scope="module")
def seven(digits: Arrays) -> Arrays:
    """200 digits: 7 steps of 32, the last of 8."""
    return digits[0][:200], digits[1][:200]


@pytest.fixture(scope="module")
def one_by_one(tiny: Build, seven: Arrays, held_out: Arrays) -> dict[str, list[float]]:
    """The history of a training whose executions have one step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace, "longest_execution", lambda *_: 1)
        return fit(tiny(0), seven, validation=held_out, epochs=3, l2=1e-3, verbose=0).history


@pytest.mark.slow
@pytest.mark.parametrize(("execution", "divides"), [(7, True), (4, False)])
def test_pieces_do_not_change_the_numbers(
    execution: int,
    divides: bool,
    one_by_one: dict[str, list[float]],
    tiny: Build,
    seven: Arrays,
    held_out: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executions: list[int] = []  # in each epoch; the number of the batch is another in Keras 3.10

    class Count(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            executions.append(0)

        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            executions[-1] += 1

    monkeypatch.setattr(pace, "longest_execution", lambda *_: execution)
    assert pace.divide(7, execution) == (execution, divides)
    history = fit(
        tiny(0), seven, validation=held_out, epochs=3, l2=1e-3, callbacks=[Count()], verbose=0
    ).history
    assert executions == [{7: 1, 4: 2}[execution]] * 3
    assert history == one_by_one


@pytest.fixture(scope="module")
def model(tiny: Build) -> keras.Model:
    return tiny(0)


class SeesBatches(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        pass


@pytest.mark.parametrize(
    ("callback", "alone"),
    [
        (keras.callbacks.EarlyStopping, False),
        (lambda: keras.callbacks.ModelCheckpoint("x.keras"), False),
        (lambda: keras.callbacks.ModelCheckpoint("x.keras", save_freq=10), True),
        (SeesBatches, True),
        (lambda: keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None), True),
        (lambda: keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None), False),
        (lambda: L2Schedule(Strength(), lambda epoch: 0.0), False),
        (lambda: L2Schedule(Strength(), keras.optimizers.schedules.CosineDecay(1.0, 9)), True),
    ],
)
def test_a_callback_that_looks_at_batches_sees_every_one(
    callback: Callable[[], Any], alone: bool, model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_KNOWN", {})
    monkeypatch.setattr(pace, "_seconds", lambda *_: 0.001)
    longest = pace.longest_execution(model, np.zeros((32, 8, 8, 1)), [callback()])
    assert (longest == 1) is alone


@pytest.mark.parametrize(
    ("one", "example", "longest"),
    [
        (0.004, 0.0, 200),  # all is Python's
        (0.004, 0.0001, 104),  # 32 examples are 3.2 ms forward, 9.6 ms for a step
        (0.050, 0.003, 3),
        (0.050, 0.030, 1),
        (0.200, 0.0, 1),
    ],
)
def test_the_slower_a_model_the_shorter_its_executions(
    one: float, example: float, longest: int, model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_KNOWN", {})
    monkeypatch.setattr(pace, "_seconds", lambda _, inputs: one + example * (len(inputs) - 1))
    assert pace.longest_execution(model, np.zeros((32, 8, 8, 1)), []) == longest


def test_without_a_gpu_there_is_no_xla(tiny: Build, train: Arrays) -> None:
    import tensorflow as tf

    seen: list[bool] = []

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs: dict | None = None) -> None:
            seen.append(self.model.jit_compile)
            raise RuntimeError("seen")

    with pytest.raises(RuntimeError, match="seen"):
        fit(tiny(0), train, epochs=1, callbacks=[Look()], verbose=0)
    assert seen == [bool(tf.config.list_physical_devices("GPU"))]
