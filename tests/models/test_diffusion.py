from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo import audit
from l2zoo.models.diffusion import BELLS, build_diffusion

LAM = 1e-3


def tiny(l2: float | None = LAM, **changes: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_diffusion((8, 12, 3), **{"num_classes": 4, "filters": (8, 16), "l2": l2, **changes})


def batch(n: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "images": rng.normal(127, 127, (n, 8, 12, 3)).astype("float32"),
        "times": rng.uniform(0, 1, n).astype("float32"),
        "labels": rng.integers(0, 5, n).astype("int32"),
    }


def awake(model: keras.Model) -> keras.Model:
    """A model whose weights are all other than zero, also those that begin there."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0.05, 0.2, weight.shape).astype("float32"))
    return model


def answer(model: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def added_loss(model: keras.Model) -> float:
    return float(sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses))


def penalty_by_hand(weights: list[Any]) -> float:
    values = (keras.ops.convert_to_numpy(weight.value).astype("float64") for weight in weights)
    return LAM * sum(float(np.square(value).sum()) for value in values)


def test_weights_counted_by_hand() -> None:
    def conv(size: int, before: int, after: int) -> int:
        return size * size * before * after + after

    def residual(before: int, after: int) -> int:
        shortcut = conv(1, before, after) if before != after else 0
        norms = 2 * before + 2 * after
        return shortcut + norms + conv(3, before, after) + dense(32, after) + conv(3, after, after)

    def dense(before: int, after: int) -> int:
        return before * after + after

    time, label = dense(BELLS, 32) + dense(32, 32), 5 * 32
    down = conv(3, 3, 8) + residual(8, 8) + residual(8, 16)
    middle = 2 * 16 + 4 * 16 * 16 + residual(16, 16)  # norm, attention's four projections, block
    up = conv(1, 16, 8) + residual(16, 8)
    out = 2 * 8 + conv(3, 8, 3)
    assert tiny().count_params() == time + label + down + middle + up + out


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_the_penalty_reaches_every_kernel_embedding_and_projection() -> None:
    model = awake(tiny())
    kernels = [w for w in model.trainable_weights if w.name in ("kernel", "embeddings")]
    assert {w.name for w in model.trainable_weights if w.regularizer is None} <= {"bias", "gamma", "beta"}
    assert added_loss(model) == pytest.approx(penalty_by_hand(kernels), rel=1e-5)
    assert audit(model).problems == ()
    assert audit(model).penalty == pytest.approx(added_loss(model), rel=1e-5)
    roles = {row.path: row.role for row in audit(model).rows}
    assert roles["label/embeddings"] == "embedding"
    assert {path.split("/")[1] for path in roles if path.startswith("attention/")} == {
        "query", "key", "value", "attention_output",
    }  # fmt: skip
    assert tiny(l2=0.0).losses == []


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_one_step_has_data_loss_plus_penalty_and_a_file_keeps_outputs_and_penalty(tmp_path: Path) -> None:
    model, inputs = awake(tiny()), batch()
    v = np.random.default_rng(1).normal(size=(5, 8, 12, 3)).astype("float32")
    found = answer(model, inputs)
    assert found.shape == v.shape
    assert found.dtype == np.float32
    model.compile(keras.optimizers.SGD(0.0), "mse")
    expected = np.square(found - v).mean() + added_loss(model)
    assert model.train_on_batch(inputs, v) == pytest.approx(expected, rel=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert added_loss(again) == pytest.approx(added_loss(model), rel=1e-6)
    np.testing.assert_allclose(answer(again, inputs), found, atol=1e-5)


def test_it_says_nothing_before_it_is_trained_whatever_goes_in() -> None:
    assert (answer(tiny(), batch()) == 0).all()


def test_names_are_explicit_and_do_not_change() -> None:
    names = [layer.name for layer in tiny().layers]
    assert len(set(names)) == len(names)
    assert [layer.name for layer in tiny().layers] == names


def test_images_times_and_labels_all_matter() -> None:
    model, inputs = awake(tiny()), batch()
    before = answer(model, inputs)
    for name, other in (("images", 60.0), ("times", 0.5), ("labels", 0)):
        changed = {**inputs, name: np.full_like(inputs[name], other)}
        assert np.abs(answer(model, changed) - before).max() > 0.01, name


def test_bells_tell_times_apart() -> None:
    model = tiny()
    bells = keras.Model(model.input, model.get_layer("time_bells").output)
    inputs = batch(3)
    inputs["times"] = np.array([0.0, 0.3, 1.0], "float32")
    centres = np.linspace(0, 1, BELLS)
    expected = np.exp(-(((inputs["times"][:, None] - centres) * (BELLS - 1)) ** 2) / 2)
    np.testing.assert_allclose(answer(bells, inputs), expected, atol=1e-5)


def test_without_classes_there_are_no_labels_and_without_heads_no_attention() -> None:
    model = tiny(num_classes=None, attention=0, filters=(8, 8, 8))
    assert set(model.input) == {"images", "times"}
    assert not any("attention" in layer.name for layer in model.layers)
    assert model.output_shape == (None, 8, 12, 3)


@pytest.mark.parametrize(
    ("shape", "changes", "message"),
    [
        ((8, 10, 3), {"filters": (8, 8, 8)}, "must have sides that 4 divides"),
        ((8, 8), {}, r"`input_shape` must be \(height, width, channels\)"),
        ((8, 8, 1), {"filters": (8, 12)}, "`filters` must be multiples of 8"),
        ((8, 8, 1), {"filters": ()}, "`filters` must hold at least one whole number"),
        ((8, 8, 1), {"attention": 3}, "`attention` must be a number of heads that divides .* 16, or 0"),
        ((8, 8, 1), {"num_classes": 0}, "`num_classes` must be a whole number >= 1"),
    ],
)
def test_bad_arguments_are_refused(shape: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_diffusion(shape, **{"filters": (8, 16), **changes})
