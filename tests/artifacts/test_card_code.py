"""The code in the card runs as it stands: with our own layers, with several outputs, with others' layers."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from l2zoo.artifacts import Card, export, usage
from l2zoo.artifacts.formats.conversion import Conversion
from l2zoo.tasks.detection.final_boxes import FinalBoxes

layers = keras.layers
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (8, 16, 16, 1), dtype=np.uint8)
BOXES = ("boxes_xyxy", "scores", "classes")


def blocks_of(artifact):
    text = (artifact.folder / "README.md").read_text(encoding="utf-8")
    return [part.split("```")[0] for part in text.split("```python\n")[1:]]


def last_ran(artifact, monkeypatch):
    """The last block of the card, and its `outputs` for the inputs that the first reads."""
    monkeypatch.chdir(artifact.folder)
    blocks = blocks_of(artifact)
    names = {}
    exec(blocks[0], names)
    exec(blocks[-1], names)
    names["sample"].close()
    return blocks[-1], names["outputs"]


@pytest.fixture(scope="module")
def detector():
    """One convolution that says something of each of 8x8 places, and our layer that makes boxes of it."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((16, 16, 1))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    said = {
        name: layers.Reshape((64, count))(layers.Conv2D(count, 1, activation=activation)(x))
        for name, count, activation in (
            ("class_logits", 2, None),
            ("sides", 4, "softplus"),
            ("centerness_logits", 1, None),
        )
    }
    outputs = FinalBoxes((16, 16), strides=(2,), max_boxes=5, candidates=10)(said)
    return keras.Model(inputs, outputs, name="tiny_detector")


def test_a_detector_s_card_runs_in_a_new_process_and_shows_all_its_outputs(detector, tmp_path):
    artifact = export(detector, tmp_path / "boxes", sample=IMAGES, card=Card(class_names=["a", "b"]))
    assert artifact.manifest["task"] == "detection"
    assert artifact.manifest["formats"]["keras"]["found"]["classes"] == ["l2zoo>FinalBoxes"]
    first, *others = blocks_of(artifact)
    assert [block for block in others if "import l2zoo" in block] == [others[0]]
    assert "import l2zoo  # registers its layers\n" in others[0]
    shown = "\nshown.append({name: np.asarray(outputs[name]).tolist() for name in outputs})\n"
    code = "\n".join(["import json", first, "shown = []"] + [block + shown for block in others])
    done = subprocess.run(
        [sys.executable, "-c", code + "print(json.dumps(shown))"],
        cwd=artifact.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wanted = detector.predict(IMAGES.astype(np.float32), verbose=0)
    assert (wanted["scores"] > 0.05).sum() > 8
    answers = json.loads(done.stdout.splitlines()[-1])
    assert len(answers) == 3
    for answer in answers:
        assert answer.keys() == set(BOXES)
        for name in BOXES:
            np.testing.assert_allclose(answer[name], wanted[name], atol=1e-4)


def two_heads(x, inputs):
    return keras.Model(inputs, {"size": layers.Dense(1)(x), "kind": layers.Dense(3, "softmax")(x)})


def test_several_outputs_of_an_int8_file_come_back_as_numbers_by_name(tmp_path, monkeypatch):
    inputs = keras.Input((16, 16, 1))
    model = two_heads(layers.Flatten()(layers.Rescaling(1 / 255)(inputs)), inputs)
    conversion = Conversion(int8_io="uint8")
    artifact = export(model, tmp_path / "int8", sample=IMAGES, formats=["tflite_int8"], conversion=conversion)
    wanted = model.predict(IMAGES, verbose=0)
    _, outputs = last_ran(artifact, monkeypatch)
    assert outputs.keys() == {"size", "kind"}
    for name, answer in outputs.items():
        np.testing.assert_allclose(answer, wanted[name], atol=0.1 * np.ptp(wanted[name]))


def test_several_outputs_of_a_file_for_one_example_at_a_time_come_back_by_name(tmp_path, monkeypatch):
    inputs = keras.Input((3, 4, 4, 1))
    x = layers.Flatten()(layers.ConvLSTM2D(2, 3)(layers.Rescaling(1 / 255)(inputs)))
    model = two_heads(x, inputs)
    clips = RNG.integers(0, 256, (5, 3, 4, 4, 1), dtype=np.uint8)
    artifact = export(model, tmp_path / "clips", sample=clips, formats=["tflite"])
    wanted = model.predict(clips, verbose=0)
    block, outputs = last_ran(artifact, monkeypatch)
    assert "array[i : i + 1]" in block
    for name in wanted:
        np.testing.assert_allclose(outputs[name], wanted[name], atol=1e-5)


@keras.saving.register_keras_serializable(package="l2zoo_tests")
class Halved(layers.Layer):
    def call(self, x):
        return x / 2


@keras.saving.register_keras_serializable(package="l2zoo_tests")
def own_loss(wanted, answered):
    return keras.ops.mean(keras.ops.square(wanted - answered), axis=-1)


def test_classes_of_others_are_named_and_do_not_bring_ours_in(tmp_path):
    inputs = keras.Input((16, 16, 1))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(Halved()(inputs))))
    model.compile("sgd", own_loss)
    artifact = export(model, tmp_path / "others", sample=IMAGES, formats=[])
    found = artifact.manifest["formats"]["keras"]["found"]
    assert found["classes"] == ["l2zoo_tests>Halved", "l2zoo_tests>own_loss"]
    (_, code) = blocks_of(artifact)
    assert "# And import here what registers l2zoo_tests>Halved, l2zoo_tests>own_loss.\n" in code
    assert "import l2zoo " not in code


def test_the_types_in_a_keras_file_are_those_of_its_arrays(written, trained):
    found = written.manifest["formats"]["keras"]["found"]
    weights = [one for layer in trained.model.layers for one in layer.get_weights()]
    assert {one.dtype.name for one in weights} == {"float32"}
    assert found["weights"] == {"float32": len(weights)}
    # Adam: two moments of each trainable weight, its step and its learning rate.
    assert sum(found["optimizer"].values()) == 2 * len(trained.model.trainable_weights) + 2
    assert found["classes"] == []


def test_an_artifact_of_before_has_a_card_too(written):
    """Whose manifest does not say which classes the model has."""
    formats = {name: dict(row) for name, row in written.manifest["formats"].items()}
    formats["keras"]["found"] = {"parameters": 1}
    assert "import l2zoo " not in usage.section({**written.manifest, "formats": formats})
