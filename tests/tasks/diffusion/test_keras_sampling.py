from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo.models.diffusion import build_diffusion
from l2zoo.tasks.diffusion import sampling
from l2zoo.tasks.diffusion.keras_sampling import denoise_function, sample


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = build_diffusion((8, 8, 1), num_classes=3, filters=(8,))
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.3, weight.shape).astype("float32"))
    return model


def by_predict(model: keras.Model) -> sampling.Denoise:
    def denoise(images: np.ndarray, times: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        inputs = {"images": images, "times": times, "labels": labels}
        return keras.ops.convert_to_numpy(model(inputs, training=False))

    return denoise


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_model_draws_what_the_loop_draws_with_its_predictions(model: keras.Model) -> None:
    labels = [0, 1, 2, 1, 0]
    drawn = sample(model, 5, steps=3, labels=labels, guidance=2.0, batch_size=2, progress=False)
    expected = sampling.draw(
        by_predict(model), (8, 8, 1), 5, steps=3, labels=labels, num_classes=3, guidance=2.0
    )
    assert drawn.shape == (5, 8, 8, 1)
    assert drawn.dtype == np.uint8
    assert np.abs(drawn.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_the_same_seed_draws_the_same(model: keras.Model, capsys: pytest.CaptureFixture) -> None:
    drawn = sample(model, 3, steps=2)  # with the bar
    np.testing.assert_array_equal(drawn, sample(model, 3, steps=2, progress=False))
    assert (drawn != sample(model, 3, steps=2, labels=0, seed=1, progress=False)).any()


def test_a_terminal_shows_how_many_steps_are_done(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # Rich takes any stream for a terminal then
    sample(model, 3, steps=4, batch_size=2)
    shown = capsys.readouterr().err
    assert "drawing" in shown
    assert "8/8" in shown  # two batches of 4 steps
    sample(model, 3, steps=4, progress=False)
    assert capsys.readouterr().err == ""


def test_the_model_is_traced_once() -> None:
    traced = []

    class Counting(keras.layers.Layer):
        def call(self, x: object) -> object:
            traced.append(x)
            return x

    images, times = keras.Input((4, 4, 1), name="images"), keras.Input((), name="times")
    counting = keras.Model({"images": images, "times": times}, Counting()(images))
    before = len(traced)
    sample(counting, 5, steps=4, batch_size=2, progress=False)
    if keras.backend.backend() == "tensorflow":
        assert len(traced) == before + 1


def test_a_model_without_classes_takes_no_labels() -> None:
    plain = build_diffusion((8, 8, 1), filters=(8,), attention=0)
    assert denoise_function(plain)[1:] == ((8, 8, 1), None)
    assert sample(plain, 1, steps=1, progress=False).shape == (1, 8, 8, 1)
    with pytest.raises(ValueError, match="`labels` must be None for a model without classes"):
        sample(plain, 1, labels=0, progress=False)


def test_bad_arguments_are_refused(model: keras.Model) -> None:
    with pytest.raises(ValueError, match="`steps` must be a whole number >= 1, got steps=0"):
        sample(model, 1, steps=0)
    with pytest.raises(ValueError, match=r"`labels` must be in \[0, 3\), got 3"):
        sample(model, 1, labels=3)
    with pytest.raises(ValueError, match="`n` must be"):
        sample(model, 0)
    with pytest.raises(
        ValueError, match=r"`labels` must be one number, or n=2 of them, got labels=\[\[0\], "
    ):
        sample(model, 2, labels=[[0], [1, 2]])
    unlike = {name: keras.Input(x.shape[1:], name=name) for name, x in model.input.items()}
    named = keras.Model(unlike, keras.layers.Rescaling(1.0)(unlike["images"]), name="unlike")
    with pytest.raises(TypeError, match=r"must embed its classes in a layer called 'label'.* got 'unlike'"):
        sample(named, 1)
    classifier = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(TypeError, match="`model` must be a denoiser with the inputs images, times"):
        sample(classifier, 1)


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exports with TensorFlow")
def test_an_exported_file_draws_the_same_in_the_same_loop(model: keras.Model, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    path = str(tmp_path / "model.tflite")
    model.export(path, format="litert", verbose=False)
    interpreter = Interpreter(path)
    run = interpreter.get_signature_runner()

    def denoise(images: np.ndarray, times: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        return run(images=images, times=times, labels=labels)["output_0"]

    asked = {"steps": 4, "labels": [0, 1, 2], "guidance": 2.0}
    drawn = sampling.draw(denoise, (8, 8, 1), 3, num_classes=3, **asked)
    difference = drawn.astype(int) - sample(model, 3, progress=False, **asked)
    assert np.abs(difference).max() <= 1
    assert not any(op["op_name"].startswith("Flex") for op in interpreter._get_ops_details())
