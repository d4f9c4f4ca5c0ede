"""The card says what the manifest says, in words, and its code runs as it stands."""

import keras
import numpy as np
import pytest

from l2zoo.artifacts import Card, Conversion, card, export
from tests.artifacts.folders import cards_code

layers = keras.layers
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (8, 16, 16, 1), dtype=np.uint8)
BOXES = ("boxes_xyxy", "scores", "classes")


def test_the_card_says_what_a_stranger_needs(written):
    text = (written.folder / "README.md").read_text(encoding="utf-8")
    for words in (
        "# digits_cnn\n\nReads handwritten digits.\n",
        "- input `images`: float32 (B, 8, 8, 1), raw pixels in [0, 255]",
        "- output `output_0`: float32 (B, 10)",
        "- classes, in the order of the output: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "| test_accuracy | 0.975 ± 0.003 (standard error), seeds 3 |",
        "| epochs | 2 |",
        'With l2zoo, `l2zoo.Predictor(".")` takes files and images of any size',
        f"## L2\n\n{written.manifest['l2']['summary']}",
        "## Data\n\nscikit-learn's 1,797 digits, 8x8.",
        "## Privacy\n\nMembers could not be told from others.",
        "| tflite | `model.tflite` | ",
        f"Written {written.manifest['created']} by l2zoo ",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("detection", '`l2zoo.Predictor(".")` takes files and images'),
        ("generation", '`l2zoo.Predictor(".").sample(16)` draws 16 images, clearer ones of its classes'),
        ("video", '`l2zoo.Predictor(".").generate(clips, 10)` adds 10 frames to clips'),
    ],
)
def test_it_says_how_a_task_s_models_are_used(written, task, words):
    assert words in card.render({**written.manifest, "task": task}, {}, picture=None)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"class_names": "digits"}, TypeError, "`class_names` must be a list of names, got 'digits'"),
        ({"privacy": 0.5}, TypeError, "`privacy` must be words, got float. Give the report's `sentence`"),
        ({"picture": "curve.exe"}, ValueError, "`picture` must end in one of"),
        (
            {"picture": "no/such.png"},
            FileNotFoundError,
            "`picture` must be an image file, got picture='no/such",
        ),
    ],
)
def test_a_card_that_cannot_be_written_is_refused_at_once(options, error, words):
    with pytest.raises(error, match=words):
        Card(**options)


# ---- Its code ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_cards_code_runs_in_a_fresh_process_without_l2zoo(fresh_process, written, trained):
    """Plain Keras loads the model, TensorFlow the SavedModel, LiteRT the flat file."""
    assert not fresh_process["l2zoo was imported"]
    assert len(fresh_process["written"]) == 3
    with np.load(written.folder / "sample.npz") as stored:
        wanted = trained.model.predict(stored["images"], verbose=0)
    for answer in fresh_process["written"]:
        np.testing.assert_allclose(answer[""], wanted, atol=1e-5)


@pytest.mark.slow
def test_a_detector_s_card_brings_our_layer_in_and_shows_all_its_outputs(fresh_process, detector):
    assert detector.manifest["task"] == "detection"
    assert detector.manifest["formats"]["keras"]["found"]["classes"] == ["l2zoo>FinalBoxes"]
    first, *others = cards_code(detector.folder)
    assert [block for block in (first, *others) if "import l2zoo" in block] == [others[0]]
    assert "import l2zoo  # registers its layers\n" in others[0]
    with np.load(detector.folder / "sample.npz") as stored:
        wanted = {name: stored[f"expected_{name}"] for name in BOXES}
    assert (wanted["scores"] > 0.05).sum() > 8
    assert len(fresh_process["detector"]) == 3
    for answer in fresh_process["detector"]:
        assert answer.keys() == set(BOXES)
        for name in BOXES:
            np.testing.assert_allclose(answer[name], wanted[name], atol=1e-4)


def last_ran(artifact, monkeypatch):
    """The last block of the card, and its `outputs` for the inputs that the first reads."""
    monkeypatch.chdir(artifact.folder)
    blocks = cards_code(artifact.folder)
    names = {}
    exec(blocks[0], names)
    exec(blocks[-1], names)
    names["sample"].close()
    return blocks[-1], names["outputs"]


def two_heads(x, inputs):
    return keras.Model(inputs, {"size": layers.Dense(1)(x), "kind": layers.Dense(3, "softmax")(x)})


@pytest.mark.slow
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


@pytest.mark.slow
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
    (_, code) = cards_code(artifact.folder)
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
