"""ONNX is there with its extra, and a clear error without."""

import importlib.util

import keras
import numpy as np
import pytest

from l2zoo.artifacts import export, verify
from l2zoo.artifacts.formats import onnx_file
from tests.artifacts.folders import cards_code


@pytest.fixture
def without_onnx(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in onnx_file._NEEDED else found(name)
    )


@pytest.mark.usefixtures("without_onnx")
def test_without_the_extra_the_error_says_what_to_install(tmp_path, trained):
    with pytest.raises(ImportError, match=r'onnx, onnxruntime, tf2onnx\. pip install "l2zoo\[onnx\]"'):
        export(trained.model, tmp_path / "onnx", sample=trained.images[:5], formats=["onnx"])
    assert list(tmp_path.iterdir()) == []


def test_the_file_answers_in_onnx_runtime(tmp_path, monkeypatch):
    for name in onnx_file._NEEDED:
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
    assert found["custom_operators"] == {}
    assert verify(artifact.folder).parity["onnx"].holds
    monkeypatch.chdir(artifact.folder)
    blocks = cards_code(artifact.folder)
    names = {}
    for block in (blocks[0], blocks[-1]):
        exec(block, names)
    names["sample"].close()
    for name, answer in model.predict({key: names[key] for key in feed}, verbose=0).items():
        np.testing.assert_allclose(names["outputs"][name], answer, atol=1e-5)


@pytest.mark.slow
def test_the_penalty_leaves_no_trace_in_the_file(trained, tmp_path):
    for name in onnx_file._NEEDED:
        pytest.importorskip(name, exc_type=ImportError)
    from l2zoo import L2Policy

    model = keras.models.clone_model(trained.model)
    model.set_weights(trained.model.get_weights())
    L2Policy(0.0).apply(model, replace=True)
    assert trained.model.losses
    assert not model.losses
    rows = [
        export(one, tmp_path / name, sample=trained.images[:5], formats=["onnx"]).manifest["formats"]["onnx"]
        for name, one in (("with", trained.model), ("without", model))
    ]
    assert rows[0]["found"]["operators"]["Conv"] == 2
    assert rows[0]["found"] == rows[1]["found"]
    assert rows[0]["bytes"] == pytest.approx(rows[1]["bytes"], abs=16)  # Keras's numbers in names differ


def test_operators_of_other_domains_are_custom_and_bodies_are_counted(tmp_path):
    """ONNX Runtime has operators of its own, which no other runtime needs to know."""
    for name in onnx_file._NEEDED:
        pytest.importorskip(name, exc_type=ImportError)
    import onnx
    from onnx import TensorProto, helper

    def branch(name, operator):
        said = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(operator, ["smooth"], [name])], name, [], [said])

    branches = {"then_branch": branch("a", "Sin"), "else_branch": branch("b", "Cos")}
    nodes = [
        helper.make_node("Gelu", ["x"], ["smooth"], domain="com.microsoft"),
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["yes"], to=TensorProto.BOOL),
        helper.make_node("If", ["yes"], ["y"], **branches),
    ]
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"]) for name in "xy"]
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(nodes, "odd", sides[:1], sides[1:])
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), tmp_path / "odd.onnx")
    _, found = onnx_file.open_file(tmp_path / "odd.onnx")
    assert found["custom_operators"] == {"com.microsoft:Gelu": 1}
    assert found["operators"] == {"Cast": 1, "Cos": 1, "Gelu": 1, "If": 1, "ReduceSum": 1, "Sin": 1}
