"""A TFLite file has builtin operators alone; a quantised one holds what its name says, or is not written."""

import functools

import keras
import numpy as np
import pytest

from l2zoo.artifacts import Conversion, export, verify
from l2zoo.artifacts.formats import tflite
from l2zoo.artifacts.formats.inspect_tflite import contents
from l2zoo.inference import Predictor
from l2zoo.inference.benchmark import measure_latency
from tests.artifacts.folders import cards_code, rewrite

layers = keras.layers
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)


def small(*extra):
    """A classifier of 260 weights, with layers before its softmax."""
    inputs = keras.Input((8, 8, 1))
    sure = keras.initializers.RandomNormal(stddev=1.0, seed=3)
    x = layers.Dense(4, kernel_initializer=sure)(layers.Flatten()(layers.Rescaling(1 / 255)(inputs)))
    for one in extra:
        x = one(x)
    return keras.Model(inputs, layers.Softmax()(x), name="small")


def found_in(artifact, name):
    return artifact.manifest["formats"][name]["found"]


@keras.saving.register_keras_serializable(package="l2zoo_tests")
class Smooth(layers.Layer):
    """Two operators for which LiteRT has none of its own, between those that it has."""

    def call(self, x):
        import tensorflow as tf

        basis, _ = tf.linalg.qr(tf.reshape(x, (-1, 2, 2)) + 3.0 * tf.eye(2))
        return tf.reshape(basis, (-1, 4)) + tf.math.erf(x)


def test_an_operator_that_needs_flex_is_refused_with_its_name_and_the_layer(tmp_path):
    inner = keras.Sequential([keras.Input((4,)), Smooth(name="smooth_2")], name="inner")
    inputs = keras.Input((8, 8, 1))
    x = inner(layers.Dense(4)(layers.Flatten()(inputs)))
    words = (
        r"no builtin operator for Erf, Qr \(in smooth_2\)\. Replace the layers that use them by such as need "
        "other operators, or export without the TFLite formats"
    )
    with pytest.raises(ValueError, match=words):
        export(keras.Model(inputs, layers.Dense(2)(x)), tmp_path / "refused", sample=IMAGES)
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_flex_operators_is_opened_by_nobody(folder, tmp_path):
    import tensorflow as tf

    inputs = keras.Input((8, 8, 1), name="images")
    model = keras.Model(inputs, keras.ops.erf(layers.Dense(10)(layers.Flatten()(inputs))))
    saved = tmp_path / "saved_model"
    model.export(saved, verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    # What Keras's own exporter to TFLite asks for unless told otherwise.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    path = folder / "model.tflite"
    path.write_bytes(converter.convert())
    assert contents(path.read_bytes())["custom_operators"] == {"FlexErf": 1}
    rewrite(folder)
    words = r"model\.tflite needs operators that are not builtin: .*FlexErf.* Run the SavedModel or the Keras"
    for opener in (verify, Predictor, functools.partial(measure_latency, seconds=0.01)):
        with pytest.raises(ValueError, match=words):
            opener(folder, trusted=True)


def test_other_failures_of_the_converter_keep_their_first_line():
    assert tflite._reason("something broke\nat length") == (
        "The model cannot be converted to TFLite: something broke"
    )


def test_float16_weights_halve_the_file(small_files):
    found = found_in(small_files, "tflite_fp16")
    assert set(found["weights"]) == {"float16", "int32"}
    assert found["operators"]["DEQUANTIZE"] == found["weights"]["float16"]
    assert small_files.parity["tflite_fp16"].limits == {"max_abs_diff": 1e-2}


def test_the_dynamic_file_has_small_weights_and_float_activations(small_files):
    found = found_in(small_files, "tflite_dynamic")
    assert found["weights"]["int8"] == 1  # 3 x 3 x 8 x 16 is the only weight of more than 1,024 numbers
    assert set(found["activations"]) == {"float32"}


def test_the_int8_file_holds_no_float_at_all_with_bytes_in_and_out(small_files):
    found = found_in(small_files, "tflite_int8")
    assert set(found["weights"]) == {"int8", "int32"}
    assert set(found["activations"]) == {"int8", "uint8"}
    assert found["float"] == {}
    pixels = found["inputs"]["images"]
    assert (pixels["dtype"], pixels["zero_point"]) == ("uint8", 0)
    assert pixels["scale"] == pytest.approx(1.0)  # calibrated on digits, which have black and white
    assert found["outputs"]["output_0"]["dtype"] == "uint8"
    assert small_files.manifest["int8"] == {
        "io": "uint8",
        "calibration": "given",
        "calibration_images": 200,
        "allow_float": False,
    }


def test_accuracy_and_difference_are_those_of_the_file(small_files, trained):
    """Bytes go in as they are, as the scale is 1."""
    from ai_edge_litert.interpreter import Interpreter

    images, labels = trained.images[:300], trained.labels[:300]
    run = Interpreter(model_path=str(small_files.folder / "model_int8.tflite")).get_signature_runner()
    answers = run(images=images)["output_0"] / 256  # the scale of a softmax
    figures = small_files.parity["tflite_int8"]
    wanted = trained.model.predict(images, verbose=0)
    assert figures.metrics["accuracy"]["file"] == (answers.argmax(axis=-1) == labels).mean()
    assert figures.metrics["accuracy"]["model"] == (wanted.argmax(axis=-1) == labels).mean()
    assert figures.max_abs_diff == pytest.approx(np.abs(answers - wanted).max(), abs=1e-6)
    assert figures.limits == {"metric_drop": 0.01}


def test_the_cards_code_quantises_as_the_file_asks(small_files, trained, monkeypatch):
    monkeypatch.chdir(small_files.folder)
    text = (small_files.folder / "README.md").read_text(encoding="utf-8")
    assert "likewise `model_fp16.tflite`, `model_dynamic.tflite`:" in text
    assert "- `model_int8.tflite`: weights and constants " in text
    blocks = cards_code(small_files.folder)
    names = {}
    exec(blocks[0], names)
    wanted = trained.model.predict(names["images"], verbose=0)
    for block, close in zip(blocks[2:], (1e-5, 0.05), strict=True):
        exec(block, names)
        np.testing.assert_allclose(names["outputs"], wanted, atol=close)
    names["sample"].close()


def test_floats_at_the_borders_are_fine(tmp_path):
    artifact = export(small(), tmp_path / "borders", sample=IMAGES, formats=["tflite_int8"])
    found = found_in(artifact, "tflite_int8")
    assert found["activations"]["float32"] == 2  # what goes in and what comes out
    assert found["float"] == {}
    assert artifact.parity["tflite_int8"].limits == {"argmax_agreement": 0.98}
    assert artifact.manifest["int8"]["calibration"] == "sample"


def test_what_stays_float_is_named_and_refused_unless_allowed(tmp_path):
    model = small(Sine())
    arguments = {"sample": IMAGES, "formats": ["tflite_int8"]}
    with pytest.raises(
        ValueError,
        match=r"these stayed float: SIN \(1\), at the tensors \S*sin.*Conversion\(allow_float=True",
    ):
        export(model, tmp_path / "sine", **arguments)
    assert list(tmp_path.iterdir()) == []
    artifact = export(model, tmp_path / "sine", conversion=Conversion(allow_float=True), **arguments)
    assert found_in(artifact, "tflite_int8")["float"] == {"SIN": 1}
    assert "; computed in floats: 1 SIN" in (artifact.folder / "README.md").read_text(encoding="utf-8")


@keras.saving.register_keras_serializable(package="l2zoo_tests")
class Sine(layers.Layer):
    def call(self, x):
        return keras.ops.sin(x)


@pytest.mark.slow
def test_a_dynamic_file_in_which_nothing_was_quantised_is_refused_unless_allowed(tmp_path):
    arguments = {"sample": IMAGES, "formats": ["tflite_dynamic"]}
    with pytest.raises(
        ValueError, match=r"must hold int8 weights, got \{'float32': .*fewer than 1,024 numbers, nor"
    ):
        export(small(), tmp_path / "tiny", **arguments)
    assert list(tmp_path.iterdir()) == []
    export(small(), tmp_path / "tiny", conversion=Conversion(allow_float=True), **arguments)


@keras.saving.register_keras_serializable(package="l2zoo_tests")
class Places(layers.Layer):
    """Adds a number of its own to each of its inputs, as embeddings of positions do."""

    def build(self, shape):
        self.offsets = self.add_weight(shape=shape[1:], initializer="random_normal", name="offsets")

    def call(self, x):
        return x + self.offsets


@pytest.mark.slow
def test_large_weights_that_stayed_float32_in_a_dynamic_file_are_named(tmp_path):
    keras.utils.set_random_seed(5)
    inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    x = layers.Dense(1500, activation="relu", bias_initializer="ones")(x)
    model = keras.Model(inputs, layers.Dense(2)(Places()(x)))
    artifact = export(model, tmp_path / "places", sample=IMAGES, formats=["tflite", "tflite_dynamic"])
    found = found_in(artifact, "tflite_dynamic")
    assert found["weights"]["int8"] == 2  # the kernels, of 64 x 1500 and 1500 x 2
    assert list(found["float_weights"].values()) == [1500, 1500]  # the first bias, and what is added
    assert "float_weights" not in found_in(artifact, "tflite")
    card = (artifact.folder / "README.md").read_text(encoding="utf-8")
    for name in found["float_weights"]:
        assert f"`{name}` (1,500 numbers)" in card.split("; left in float32 though large: ")[1]


def test_small_weights_that_stayed_float32_are_no_matter(small_files):
    found = found_in(small_files, "tflite_dynamic")
    assert found["weights"]["float32"] > 0
    assert found["float_weights"] == {}


def test_the_card_says_which_figure_decided_where_the_largest_difference_did_not(small_files, written):
    card = (small_files.folder / "README.md").read_text(encoding="utf-8")
    (sentence,) = [line for line in card.splitlines() if line.startswith("Rounding moves single numbers")]
    for name, path in (("tflite_dynamic", "model_dynamic.tflite"), ("tflite_int8", "model_int8.tflite")):
        pair = small_files.parity[name].metrics["accuracy"]
        words = f"accuracy {pair['file']:.4g} beside the model's {pair['model']:.4g}, it may lose 0.01"
        assert f"`{path}` ({words})" in sentence
    assert "model_fp16" not in sentence  # which is held to its largest difference
    assert "Rounding moves" not in (written.folder / "README.md").read_text(encoding="utf-8")


def test_weights_that_stay_float32_are_no_float16_file(tmp_path, monkeypatch):
    whole = tflite.convert
    monkeypatch.setattr(tflite, "convert", lambda source, **settings: whole(source))
    with pytest.raises(ValueError, match=r"tflite_fp16 must hold float16 weights only, got \{'float32': "):
        export(small(), tmp_path / "fp16", sample=IMAGES, formats=["tflite_fp16"])
    assert list(tmp_path.iterdir()) == []


def test_a_metric_that_falls_refuses_the_file_with_its_figures(tmp_path, trained):
    wanted = trained.model.predict(trained.images[:40], verbose=0)
    with pytest.raises(
        ValueError, match=r"^tflite_int8 does not answer like .*equal falls from 1 to 0\.\d+, at"
    ):
        export(
            trained.model,
            tmp_path / "fallen",
            sample=trained.images[:40],
            formats=["tflite_int8"],
            measure=lambda outputs: {"equal": float((np.abs(outputs - wanted) < 1e-5).mean())},
        )
    assert list(tmp_path.iterdir()) == []


def test_ranges_are_read_from_the_calibration_images(tmp_path, trained):
    arguments = {"sample": trained.images[:64], "formats": ["tflite_int8"]}
    black = Conversion(calibration=np.zeros((8, 8, 8, 1), np.uint8))
    with pytest.raises(
        ValueError, match=r"^tflite_int8 does not .*argmax agrees on .*calibrate on more real"
    ):
        export(trained.model, tmp_path / "black", conversion=black, **arguments)
    wide = Conversion(calibration=np.ones((8, 9, 8, 1)))
    with pytest.raises(
        ValueError, match=r"`calibration` must have the model's input shape .*got shape=\(8, 9"
    ):
        export(trained.model, tmp_path / "wide", conversion=wide, **arguments)


@pytest.mark.slow
def test_recurrent_loops_take_one_example_at_a_time_and_no_int8(tmp_path):
    inputs = keras.Input((3, 4, 4, 1))
    x = layers.ConvLSTM2D(2, 3)(layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)), name="clips")
    clips = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 4, 1), dtype=np.uint8)
    artifact = export(model, tmp_path / "clips", sample=clips, formats=["tflite", "savedmodel"])
    assert found_in(artifact, "tflite")["inputs"]["images"]["shape"] == [1, 3, 4, 4, 1]
    assert found_in(artifact, "savedmodel")["inputs"]["images"]["shape"] == [None, 3, 4, 4, 1]
    assert found_in(artifact, "tflite")["custom_operators"] == {}
    assert "one example at a time:" in (artifact.folder / "README.md").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"model with loops, such as recurrent layers.*unroll=True"):
        export(model, tmp_path / "int8", sample=clips, formats=["tflite_int8"])


def variables_of(folder):
    """The bytes of every variable of a SavedModel; what else is stored is which object each belongs to."""
    import tensorflow as tf

    stored = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    names = set(stored.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    return {name: stored.get_tensor(name).tobytes() for name in names}


@pytest.mark.slow
def test_the_penalty_leaves_no_trace_in_what_is_deployed(small_files, written, trained, tmp_path):
    """The network of `small_files` and `written` with its penalty taken off."""
    from l2zoo import L2Policy

    model = keras.models.clone_model(trained.model)
    model.set_weights(trained.model.get_weights())
    assert trained.model.losses
    L2Policy(0.0).apply(model, replace=True)
    assert not model.losses
    formats = ["tflite", "tflite_fp16", "tflite_dynamic", "tflite_int8"]
    conversion = Conversion(calibration=trained.images[300:], int8_io="uint8")
    without = export(
        model, tmp_path / "without", sample=trained.images[:50], formats=[*formats, "savedmodel"],
        conversion=conversion,
    )  # fmt: skip
    assert without.manifest["l2"]["penalty"] == 0 < small_files.manifest["l2"]["penalty"]
    for name in formats:
        for fact in ("found", "bytes"):
            assert without.manifest["formats"][name][fact] == small_files.manifest["formats"][name][fact]
    assert found_in(without, "savedmodel") == found_in(written, "savedmodel")
    ours, theirs = (variables_of(one.folder / "saved_model" / "1") for one in (without, written))
    assert len(ours) == 9
    assert ours == theirs


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"int8_io": "int16"}, ValueError, r"`int8_io` must be one of .*got int8_io='int16'"),
        ({"allow_float": "yes"}, TypeError, "`allow_float` must be True or False, got allow_float='yes'"),
    ],
)
def test_wrong_choices_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        Conversion(**options)


@pytest.mark.parametrize("policy", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
def test_mixed_precision_is_converted_in_float32_with_the_same_weights(policy, tmp_path):
    def build(dtype):
        body = [layers.Rescaling(1 / 255, dtype=dtype), layers.Conv2D(4, 3, dtype=dtype)]
        ends = [layers.GlobalAveragePooling2D(dtype=dtype), layers.Dense(3, "softmax", dtype="float32")]
        return keras.Sequential([keras.Input((8, 8, 1)), *body, *ends])

    model, plain = build(policy), build("float32")
    plain.set_weights(model.get_weights())
    export(model, tmp_path / "artifact", sample=IMAGES, formats=["tflite"])
    assert [layer.dtype_policy.name for layer in model.layers] == [policy] * 3 + ["float32"]
    predict, _ = tflite.open_file(tmp_path / "artifact" / "model.tflite")
    [answers] = predict({"images": IMAGES.astype("float32")}).values()
    np.testing.assert_allclose(answers, plain.predict(IMAGES, verbose=0), atol=1e-5)
    verify(tmp_path / "artifact")
