"""A model of several named inputs is exported, checked and described like one of images."""

import keras
import numpy as np
import pytest

from l2zoo.artifacts import Conversion, export, verify
from tests.artifacts.folders import cards_code

layers = keras.layers
FORMATS = ["savedmodel", "tflite", "tflite_fp16", "tflite_int8"]
TYPES = {"images": "float32", "labels": "int32", "times": "float32"}


def denoiser():
    inputs = {
        "images": keras.Input((4, 4, 1), name="images"),
        "times": keras.Input((), name="times"),
        "labels": keras.Input((), dtype="int32", name="labels"),
    }
    known = layers.Dense(4)(layers.Reshape((1,))(inputs["times"]))
    known = layers.Add()([known, layers.Embedding(10, 4)(inputs["labels"])])
    x = layers.Conv2D(4, 3, padding="same")(layers.Rescaling(1 / 255)(inputs["images"]))
    x = layers.Add()([x, layers.Reshape((1, 1, 4))(known)])
    return keras.Model(inputs, {"noise": layers.Conv2D(1, 3, padding="same")(x)}, name="denoiser")


@pytest.fixture(scope="module")
def noisy():
    rng = np.random.default_rng(0)
    return {
        "images": rng.normal(128, 200, (40, 4, 4, 1)),
        "times": rng.random(40),
        "labels": rng.integers(0, 10, 40),
    }


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return denoiser()


@pytest.fixture(scope="module")
def artifact(model, noisy, tmp_path_factory):
    return export(
        model,
        tmp_path_factory.mktemp("named") / "denoiser",
        sample=noisy,
        formats=FORMATS,
        conversion=Conversion(int8_io="int8"),
    )


@pytest.mark.slow
def test_names_shapes_and_types_are_the_models_in_every_file(artifact):
    shapes = {"images": [None, 4, 4, 1], "labels": [None], "times": [None]}
    expected = {name: {"shape": shapes[name], "dtype": TYPES[name]} for name in shapes}
    assert artifact.manifest["inputs"] == expected  # and no range of pixels
    for name in ("savedmodel", "tflite", "tflite_fp16"):
        assert artifact.manifest["formats"][name]["found"]["inputs"] == expected
    quantised = artifact.manifest["formats"]["tflite_int8"]["found"]["inputs"]
    assert {name: spec["dtype"] for name, spec in quantised.items()} == {
        **TYPES,
        "images": "int8",
        "times": "int8",
    }


@pytest.mark.slow
def test_parity_is_what_the_file_really_answers(artifact, model, noisy):
    from ai_edge_litert.interpreter import Interpreter

    feed = {name: array.astype(TYPES[name]) for name, array in noisy.items()}
    run = Interpreter(model_path=str(artifact.folder / "model.tflite")).get_signature_runner()
    difference = np.abs(run(**feed)["noise"] - model.predict(feed, verbose=0)["noise"]).max()
    assert difference < 1e-5
    assert artifact.parity["tflite"].max_abs_diff == pytest.approx(difference, abs=1e-6)
    assert artifact.parity["tflite_int8"].limits == {"relative_diff": 0.1}
    assert 0 < artifact.parity["tflite_int8"].relative_diff < 0.1


def test_the_sample_keeps_every_input(artifact):
    with np.load(artifact.folder / "sample.npz", allow_pickle=False) as stored:
        assert set(stored.files) == {*TYPES, "expected_noise"}
        assert {len(stored[name]) for name in stored.files} == {32}


def test_it_verifies(artifact):
    assert all(figures.holds for figures in verify(artifact.folder).parity.values())


@pytest.mark.slow
def test_the_cards_code_runs_as_it_stands(artifact, model, monkeypatch):
    monkeypatch.chdir(artifact.folder)
    text = (artifact.folder / "README.md").read_text(encoding="utf-8")
    assert "- input `images`: float32 (B, 4, 4, 1)\n- input `labels`: int32 (B)\n" in text
    blocks = cards_code(artifact.folder)
    assert len(blocks) == 5
    names = {}
    exec(blocks[0], names)
    wanted = model.predict({name: names[name] for name in TYPES}, verbose=0)["noise"]
    for block, close in zip(blocks[1:], (1e-5, 1e-5, 1e-5, 0.1), strict=True):
        exec(block, names)
        outputs = names["outputs"]
        outputs = outputs["noise"] if isinstance(outputs, dict) else outputs
        np.testing.assert_allclose(outputs, wanted, atol=close * np.abs(wanted).max())
