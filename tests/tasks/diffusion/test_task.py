"""Learning to draw, from data to pictures."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from l2zoo.data import ImageData, divided, load, load_video
from l2zoo.models.diffusion import build_diffusion
from l2zoo.tasks.diffusion import evaluation, schedule
from l2zoo.tasks.diffusion.evaluation import Judge
from l2zoo.tasks.diffusion.keras_sampling import sample
from l2zoo.tasks.diffusion.task import Generation
from l2zoo.tasks.plots.generated import picture_of_samples
from l2zoo.training import fit

NAMES = [str(i) for i in range(10)]


@pytest.fixture(scope="module")
def data() -> ImageData:
    found = load_digits()
    return load(((found.images[:128, ..., None] * 255 / 16).astype("uint8"), found.target[:128]))


def tiny(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build_diffusion((8, 8, 1), num_classes=10, filters=(8,), attention=0, l2=1e-6)


class Stand:
    """Stands for a model of 10 classes: what it takes."""

    name = "stand"
    input: ClassVar = {
        "images": keras.Input((8, 8, 1)), "times": keras.Input(()), "labels": keras.Input((), dtype="int32")
    }  # fmt: skip
    layers: ClassVar = [keras.layers.Embedding(11, 2, name="label")]


class Knowing(Stand):
    """Stands for a model that knows that all images are black."""

    def predict_on_batch(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        alpha, sigma = (
            part[:, None, None, None] for part in schedule.alpha_sigma(inputs["times"].astype("f8"))
        )
        z = schedule.scale_pixels(inputs["images"].astype("f8"))
        return schedule.velocity(-1.0, schedule.remaining_noise(z, -1.0, alpha, sigma), alpha, sigma)


class Silent(Stand):
    """Stands for a model that always says 0."""

    def predict_on_batch(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        return np.zeros_like(inputs["images"])


@pytest.mark.slow
def test_measures_of_models_whose_loss_is_known() -> None:
    black = load((np.zeros((30, 8, 8, 1), "uint8"), np.arange(30) % 10))
    task = Generation(NAMES)
    perfect: Any = Knowing()
    assert task.measure(perfect, black)["denoising_loss"] == pytest.approx(0, abs=1e-6)
    silent: Any = Silent()
    measured = task.measure(silent, black)
    assert set(measured) == {
        "denoising_loss", "denoising_loss_little_noise", "denoising_loss_middle_noise",
        "denoising_loss_much_noise",
    }  # fmt: skip
    # v = alpha * noise + sigma, whose square is 1 on average
    assert measured["denoising_loss"] == pytest.approx(1, abs=0.1)


def test_what_a_model_cannot_be_measured_on_is_refused_before_it_is_asked(data: ImageData) -> None:
    def images(classes: int, *shape: int) -> ImageData:
        return load((np.zeros((24, *shape), "uint8"), np.arange(24) % classes))

    task, model = Generation(NAMES), tiny()
    task.check(model, data)
    with pytest.raises(
        ValueError, match=r"images of shape \(H, W, C\)=\(8, 8, 1\).* got \(16, 8, 1\)\. Load"
    ):
        task.measure(model, images(10, 16, 8, 1))
    with pytest.raises(ValueError, match=r"\(8, 8, 1\), those of the model, got \(8, 8, 3\)"):
        task.measure(model, images(10, 8, 8, 3))
    with pytest.raises(ValueError, match="`data` must have the 10 classes of `class_names`, got 12"):
        task.measure(model, images(12, 8, 8, 1))
    with pytest.raises(
        ValueError, match=r"`model` must know the 12 classes of `class_names`, got .*num_classes=10"
    ):
        Generation([*NAMES, "10", "11"]).measure(model, images(12, 8, 8, 1))
    with pytest.raises(ValueError, match="`model` must know the 0 classes"):
        Generation().measure(model, data)
    clips: Any = load_video(np.zeros((2, 4, 8, 8, 1), "uint8"))
    with pytest.raises(TypeError, match=r"`data` must be an ImageData from l2zoo.data.load, got VideoData"):
        task.measure(model, clips)
    classifier = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    with pytest.raises(TypeError, match="`model` must be a denoiser"):
        task.measure(classifier, data)


@pytest.mark.slow
def test_the_picture_is_drawn_as_the_judge_draws(data: ImageData, tmp_path: Path) -> None:
    model, labels = tiny(), np.arange(40) % 10
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.3, weight.shape).astype("float32"))
    task = Generation(NAMES, Judge(data, steps=3, guidance=2.0, seed=5))
    assert task.says == "Judged with 3 steps of DDIM and a guidance of 2."
    expected = sample(model, 40, steps=3, labels=labels, guidance=2.0, seed=5, progress=False)
    plain = sample(model, 4, steps=3, labels=labels[:4], seed=5, progress=False)
    assert (expected[:4] != plain).any()
    drawn, by_hand = tmp_path / "drawn.png", tmp_path / "by_hand.png"
    task.picture(model, data, drawn)
    picture_of_samples(expected, by_hand, labels=labels, class_names=NAMES)
    assert pixels(drawn).tobytes() == pixels(by_hand).tobytes()
    assert Generation(NAMES).says == ""


def test_without_a_judge_the_picture_is_drawn_as_samples_are(
    data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def black(model: keras.Model, n: int, **how: Any) -> np.ndarray:
        asked.append(how)
        return np.zeros((n, 8, 8, 1), "uint8")

    monkeypatch.setattr(evaluation, "sample", black)
    Generation(NAMES).picture(tiny(), data, tmp_path / "drawn.png")
    usual = {name: one.default for name, one in inspect.signature(sample).parameters.items()}
    how = {name: asked[0][name] for name in ("steps", "guidance", "seed")}
    assert how == {name: usual[name] for name in how}
    np.testing.assert_array_equal(asked[0]["labels"], np.arange(40) % 10)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_examples_for_export_are_those_of_validation_and_scored_by_what_they_explain(data: ImageData) -> None:
    task = Generation(NAMES)
    inputs, velocities = task.examples(tiny(), data, 20)
    fixed, wanted = next(task.prepared(data).once(20).as_numpy_iterator())
    np.testing.assert_array_equal(inputs["images"], fixed["images"])
    np.testing.assert_array_equal(velocities, wanted)
    assert sorted(inputs) == ["images", "labels", "times"]
    assert task.scores(velocities, velocities) == {"explained": 1.0}
    assert task.scores(np.zeros_like(velocities), velocities) == {"explained": 0.0}
    assert task.scores(velocities / 2, velocities)["explained"] == pytest.approx(0.75)


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_short_training_learns_with_a_penalty_and_draws(data: ImageData, tmp_path: Path) -> None:
    task, model = Generation(NAMES), tiny()
    silent: Any = Silent()  # as the model is before it has learnt
    data, others = divided(data, data.num_examples - 8)
    logs = fit(
        model, task.prepared(data), validation=task.prepared(others), epochs=6, batch_size=32,
        optimizer=keras.optimizers.Adam(1e-2), verbose=0, **task.compiling(),
    ).history  # fmt: skip
    assert logs["val_data_loss"][-1] < logs["val_data_loss"][0]
    assert logs["val_loss"][-1] == pytest.approx(logs["val_data_loss"][-1] + logs["l2_penalty"][-1], rel=1e-4)
    losses = [task.measure(each, data)["denoising_loss"] for each in (model, silent)]
    assert losses[0] < 0.7 * losses[1]
    assert task.deployed(model).count_params() == model.count_params()
    shown = Generation(NAMES, Judge(data, steps=2)).picture(model, data, tmp_path / "drawn.png")
    assert shown.stat().st_size > 10_000


@pytest.mark.slow
def test_a_search_takes_what_is_prepared(data: ImageData, tmp_path: Path) -> None:
    from l2zoo.search.tune_l2 import tune_l2

    task = Generation(NAMES)

    def build(l2: float) -> keras.Model:
        model = build_diffusion((8, 8, 1), num_classes=10, filters=(8,), attention=0, l2=l2)
        model.compile(keras.optimizers.Adam(1e-2), **task.compiling())
        return model

    result = tune_l2(
        build, task.prepared(data), strengths=[0.0, 1e-4], folds=2, epochs=1, objective=task.objective,
        directory=tmp_path,
    )  # fmt: skip
    assert result.verdict
