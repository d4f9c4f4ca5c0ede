"""The recurrent CNN: what goes in and comes out, what it may look at, and one step of it alone."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo import L2Policy, audit
from l2zoo.models.cnn import build_cnn
from l2zoo.models.video import build_video
from l2zoo.tasks.video.keras_rollout import step_model

LAM = 1e-3
FRAME = (8, 16, 1)


def video(frames: int | None = None, l2: float | L2Policy | None = None) -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_video((frames, *FRAME), filters=(4, 6), l2=l2)


def clips(count: int = 2, frames: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, frames, *FRAME)).astype("uint8")


def answer(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(x.astype("float32"), training=False))


def added_loss(model: keras.Model) -> float:
    return float(sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses))


def penalty_by_hand(model: keras.Model) -> float:
    kernels = [keras.ops.convert_to_numpy(w) for w in model.trainable_weights if len(w.shape) > 1]
    return LAM * sum(float(np.square(kernel).sum(dtype="float64")) for kernel in kernels)


def reloaded(model: keras.Model, folder: Path) -> keras.Model:
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def stepped(step: keras.Model, x: np.ndarray) -> np.ndarray:
    states = {
        name: np.zeros((len(x), *part.shape[1:]), "float32")
        for name, part in step.input.items()
        if name != "frame"
    }
    found = []
    for frame in x.swapaxes(0, 1):
        after = step({"frame": frame.astype("float32"), **states}, training=False)
        states = {name: keras.ops.convert_to_numpy(x) for name, x in after.items()}
        found.append(states.pop("next"))
    return np.stack(found, axis=1)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_pixels_go_in_and_come_out_at_every_time() -> None:
    for length in (None, 4):
        model = video(length)
        assert model.output_shape == (None, length, *FRAME)
        found = answer(model, clips())
        assert found.shape == (2, 4, *FRAME)
        assert found.dtype == np.float32
        assert found.min() >= 0
        assert 1 < found.max() <= 255
    assert answer(video(), clips(frames=7)).shape == (2, 7, *FRAME)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_later_frames_do_not_change_earlier_answers_and_earlier_frames_change_later_ones() -> None:
    model, x = video(), clips()
    other = x.copy()
    other[:, 2] = 255 - other[:, 2]
    before, after = answer(model, x), answer(model, other)
    np.testing.assert_allclose(after[:, :2], before[:, :2], atol=1e-3)
    assert np.abs(after[:, 2] - before[:, 2]).max() > 1
    assert np.abs(after[:, 3] - before[:, 3]).max() > 0.1  # remembered


def test_weights_counted_by_hand() -> None:
    def conv(size: int, before: int, after: int) -> int:
        return size * size * before * after + after

    lstms = sum(4 * (conv(3, 2 * width, width)) for width in (4, 6))  # four gates that see input and output
    encoder = conv(3, 1, 4) + conv(3, 4, 6)
    decoder = conv(3, 6 + 4, 4) + conv(3, 4 + 1, 8) + conv(1, 8, 1)
    assert video().count_params() == lstms + encoder + decoder


@pytest.mark.backends
def test_every_kernel_is_penalised_also_those_of_the_recurrence() -> None:
    model = video(l2=LAM)
    found = audit(model)
    assert found.problems == ()
    roles = {row.path: row.role for row in found.rows}
    assert (
        roles["recurrent1/cell/recurrent_kernel"] == roles["recurrent2/cell/recurrent_kernel"] == "recurrent"
    )
    assert len(model.losses) == 9
    assert all((w.regularizer is not None) == (len(w.shape) > 1) for w in model.trainable_weights)
    assert added_loss(model) == pytest.approx(penalty_by_hand(model), rel=1e-5)
    assert found.penalty == pytest.approx(penalty_by_hand(model), rel=1e-5)
    assert video(l2=0.0).losses == []


def test_the_recurrence_can_be_left_out() -> None:
    model = video(l2=L2Policy(LAM, multipliers={"recurrent": 0.0}))
    free = {weight.path for weight in model.trainable_weights if weight.regularizer is None}
    assert {path for path in free if "bias" not in path} == {
        "recurrent1/cell/recurrent_kernel",
        "recurrent2/cell/recurrent_kernel",
    }


def test_names_are_explicit_and_the_same_every_time() -> None:
    first, second = video(), video()
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    assert [weight.path for weight in first.weights] == [weight.path for weight in second.weights]
    assert first.weights[0].path == "encoder1/kernel"


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_file_keeps_outputs_and_penalty_and_a_step_of_training_adds_it(tmp_path: Path) -> None:
    model, x = video(l2=LAM), clips()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    answers = answer(model, x)
    target = x.astype("float32")
    data_loss = float(np.square(answers - target).mean(dtype="float64"))
    assert model.train_on_batch(x, target) == pytest.approx(data_loss + added_loss(model), rel=1e-4)
    again = reloaded(model, tmp_path)
    np.testing.assert_allclose(answer(again, x), answers, atol=1e-3)
    assert added_loss(again) == pytest.approx(added_loss(model), rel=1e-6)
    assert audit(again).problems == ()
    assert [weight.path for weight in again.weights] == [weight.path for weight in model.weights]


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.parametrize("loaded", [False, True])
def test_stepping_answers_like_the_whole_model(tmp_path: Path, loaded: bool) -> None:
    model, x = video(l2=LAM), clips()
    step = step_model(reloaded(model, tmp_path) if loaded else model)
    np.testing.assert_allclose(stepped(step, x) / 255, answer(model, x) / 255, atol=1e-4)
    assert sorted(step.input) == ["frame", "state0", "state1", "state2", "state3"]
    assert sorted(step.output) == ["next", "state0", "state1", "state2", "state3"]
    assert [step.input[f"state{i}"].shape[1:] for i in (0, 2)] == [(4, 8, 4), (2, 4, 6)]


def test_a_step_shares_the_weights_and_survives_a_file(tmp_path: Path) -> None:
    model, x = video(l2=LAM), clips()
    step = step_model(model)
    for weight in model.trainable_weights:
        weight.assign(weight * 0.5 + 0.1)
    expected = answer(model, x)
    np.testing.assert_allclose(stepped(step, x) / 255, expected / 255, atol=1e-4)
    assert {id(weight) for weight in step.weights} == {id(weight) for weight in model.weights}
    assert added_loss(step) == pytest.approx(added_loss(model), rel=1e-6)
    again = reloaded(step, tmp_path)
    np.testing.assert_allclose(stepped(again, x) / 255, expected / 255, atol=1e-4)
    assert added_loss(again) == pytest.approx(added_loss(model), rel=1e-6)
    assert audit(again).problems == ()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"input_shape": (None, 10, 16, 1)}, ValueError, "must have sides that 4 divides"),
        ({"input_shape": (16, 16, 1)}, ValueError, r"must be \(frames or None, height, width, channels\)"),
        ({"input_shape": "abcd"}, TypeError, r"must be \(frames or None, height, width, channels\)"),
        ({"input_shape": (0, 16, 16, 1)}, ValueError, "must be a whole number >= 1"),
        ({"input_shape": (None, None, 16, 1)}, TypeError, "must be a whole number >= 1"),
        ({"filters": ()}, ValueError, "`filters` must hold at least one whole number"),
    ],
)
def test_bad_arguments_are_refused(changes: dict, error: type[Exception], message: str) -> None:
    arguments = {"input_shape": (None, 16, 16, 1), "filters": (4, 4), **changes}
    with pytest.raises(error, match=message):
        build_video(arguments.pop("input_shape"), **arguments)


def test_another_model_has_no_step() -> None:
    with pytest.raises(TypeError, match="`model` must be one that build_video makes, got Functional"):
        step_model(build_cnn((8, 8, 1), num_classes=2, filters=(4,)))
