"""The benchmarks, as far as they can be wrongly asked for; what they measure, they measure by hand."""

from __future__ import annotations

import contextlib
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


MODELS, AMOUNTS = ("cnn_plain", "cnn", "resnet20"), ("500", "2000", "noisy", "faces", "60000")
EVIDENCE = ["small", *(f"{model}-{amount}" for model in MODELS for amount in AMOUNTS)]
CASES = [
    ("evidence", "smal", f"{', '.join(EVIDENCE)}, all", "small"),
    (
        "evidence_models",
        "digit",
        "cnn, digits, mnist, segment, detect, images, photos, unseen, video, all",
        "digits",
    ),
    ("export", "strat", "int8, resnet50, start, all", "start"),
    ("fashion_mnist", "resnet", "cnn, resnet20, all", "resnet20"),
    ("generation", "vidoe", "images, video, all", "video"),
    ("models", "step", "steps, fit, again, pipeline, monitor, all", "steps"),
    (
        "pretrained",
        "unett",
        "fashion_10, fashion_50, fashion_200, faces, unet, detector, all",
        "unet",
    ),
    ("search", "memroy", "small, digits, resnet, memory, question, all", "memory"),
]


def test_every_benchmark_of_several_cases_is_tested_here() -> None:
    scripts = {path.stem for path in BENCHMARKS.glob("*.py") if " case: Annotated" in path.read_text()}
    assert scripts == {name for name, *_ in CASES}


@pytest.mark.parametrize(("script", "case", "known", "meant"), CASES)
def test_a_case_that_there_is_not_is_wrong_usage(script: str, case: str, known: str, meant: str) -> None:
    app = typer.Typer()
    app.command()(runpy.run_path(str(BENCHMARKS / f"{script}.py"))["main"])
    wide = {"COLUMNS": "400", "TERM": "dumb"}  # so that no line is broken
    answer = CliRunner().invoke(app, ["--case", case], env=wide)
    assert (answer.exit_code, answer.stdout) == (2, "")
    for words in ("Invalid value for '--case'", f"must be one of {known}, got {case!r}", f"mean {meant!r}?"):
        assert words in answer.stderr


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the kernel is TensorFlow's")
def test_fused_batch_norm_trains_as_keras_s_does() -> None:
    from fused_norm import fused_batch_norm

    def trained(how: contextlib.AbstractContextManager[None]) -> list[np.ndarray]:
        keras.utils.set_random_seed(0)
        x = np.random.default_rng(0).normal(3, 5, (20, 4, 4, 2)).astype("float32")
        layers = [keras.layers.Conv2D(3, 3), keras.layers.BatchNormalization(momentum=0.8)]
        layers += [keras.layers.ReLU(), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((4, 4, 2)), *layers])
        model.compile(keras.optimizers.SGD(0.05), "mse")
        with how:
            model.fit(x, x.mean((1, 2, 3)), batch_size=10, epochs=3, verbose=0)
        return [np.asarray(weight) for weight in model.get_weights()]

    before = keras.layers.BatchNormalization.call
    for one, other in zip(trained(fused_batch_norm()), trained(contextlib.nullcontext()), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert keras.layers.BatchNormalization.call is before


def test_what_was_measured_is_gone_on_with(tmp_path: Path) -> None:
    from measured import Measured

    path = tmp_path / "new" / "numbers.json"
    Measured(path).add({"b, seed 1": [0.5, 0.25], "a": {"best": 1e-3}})
    Measured(path).add({"a": {"best": 1e-4}, "c": 3})
    again = Measured(path)
    assert [again.get(name) for name in ("a", "b, seed 1", "c", "d")] == [
        {"best": 1e-4},
        [0.5, 0.25],
        3,
        None,
    ]
    lines = path.read_text().splitlines()
    assert lines == ["{", '"a": {"best": 0.0001},', '"b, seed 1": [0.5, 0.25],', '"c": 3', "}"]
    assert list(path.parent.iterdir()) == [path]


def test_parts_of_the_test_images_have_the_metrics_of_all() -> None:
    from evidence import KIND, METRICS, measure

    from l2zoo.tasks.scores import calibration_error, class_scores, log_loss

    draw = np.random.default_rng(0)
    answers, labels = draw.dirichlet(np.full(10, 0.3), 1000), draw.integers(0, 10, 1000)
    found = measure(answers, labels)
    assert list(found) == list(METRICS)
    assert len(found["accuracy"]) == len(found["log_loss"]) == 50
    assert np.mean(found["accuracy"]) == pytest.approx(class_scores(answers, labels, KIND)["accuracy"])
    assert np.mean(found["log_loss"]) == pytest.approx(log_loss(answers, labels, KIND), abs=1e-6)
    assert found["calibration_error"] == calibration_error(answers, labels, KIND)
