"""ONNX is there with its extra, and a clear error without."""

import importlib.util

import keras
import numpy as np
import pytest

from l2zoo.artifact import export, onnxfile, verify


@pytest.fixture
def without_onnx(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in onnxfile._NEEDED else found(name)
    )


@pytest.mark.usefixtures("without_onnx")
def test_without_the_extra_the_error_says_what_to_install(tmp_path, trained):
    with pytest.raises(ImportError, match=r'onnx, onnxruntime, tf2onnx\. pip install "l2zoo\[onnx\]"'):
        export(trained.model, tmp_path / "onnx", sample=trained.images[:5], formats=["onnx"])
    assert list(tmp_path.iterdir()) == []


def test_the_file_answers_in_onnx_runtime(tmp_path):
    for name in onnxfile._NEEDED:
        pytest.importorskip(name, exc_type=ImportError)
    import onnxruntime

    layers = keras.layers
    inputs = {
        "images": keras.Input((4, 4, 1), name="images"),
        "label": keras.Input((), dtype="int32", name="label"),
    }
    x = layers.Flatten()(layers.Conv2D(3, 3)(layers.Rescaling(1 / 255)(inputs["images"])))
    x = layers.Concatenate()([x, layers.Embedding(5, 2)(inputs["label"])])
    outputs = {"size": layers.Dense(1)(x), "kind": layers.Dense(3, activation="softmax")(x)}
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(0)
    feed = {
        "images": rng.integers(0, 256, (9, 4, 4, 1)).astype("float32"),
        "label": rng.integers(0, 5, 9).astype("int32"),
    }
    artifact = export(model, tmp_path / "onnx", sample=feed, formats=["onnx"])
    session = onnxruntime.InferenceSession(artifact.folder / "model.onnx")
    wanted = model.predict(feed, verbose=0)
    for name, answer in zip(("size", "kind"), session.run(["size", "kind"], feed), strict=True):
        np.testing.assert_allclose(answer, wanted[name], atol=1e-5)
    found = artifact.manifest["formats"]["onnx"]["found"]
    assert found["inputs"]["label"] == {"shape": [None], "dtype": "int32"}
    assert found["outputs"]["kind"] == {"shape": [None, 3], "dtype": "float32"}
    assert found["operators"]["Conv"] == 1
    assert found["weights"]["float32"] >= 5
    assert verify(artifact.folder).parity["onnx"].holds
