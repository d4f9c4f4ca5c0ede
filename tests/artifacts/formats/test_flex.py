"""Flex operators get in only when they are allowed, and are compared like everything else."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from l2zoo.artifacts import Card, Conversion, export, manifest, verify
from l2zoo.artifacts.formats import flex
from l2zoo.artifacts.formats.inspect_tflite import contents
from l2zoo.artifacts.parity.comparison import Comparison
from l2zoo.artifacts.parity.limits import Limits
from l2zoo.inference import Predictor
from l2zoo.inference.benchmark import measure_latency

layers = keras.layers
IMAGES = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), dtype=np.uint8)
FORMATS = ["savedmodel", "tflite", "tflite_fp16", "tflite_dynamic"]
ALLOWED = Conversion(allow_flex=True)


@keras.saving.register_keras_serializable(package="l2zoo_tests")
class Smooth(layers.Layer):
    """Two operators for which LiteRT has none of its own, one of two outputs, between those that it has."""

    def call(self, x):
        largest, _ = tf.math.top_k(tf.math.erf(x), k=4)
        basis, _ = tf.linalg.qr(tf.reshape(x, (-1, 4, 5)) + 3.0 * tf.eye(4, 5))
        return tf.concat([largest, tf.abs(tf.reshape(basis, (-1, 16))), tf.math.erf(2.0 * x)], axis=-1)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(20, bias_initializer="ones")(layers.Flatten()(layers.Rescaling(1 / 255)(inputs)))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(Smooth()(x)), name="smooth")


@pytest.fixture(scope="module")
def artifact(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flex") / "smooth"
    return export(
        model,
        folder,
        sample=IMAGES,
        formats=FORMATS,
        conversion=ALLOWED,
        card=Card(class_names=["a", "b", "c"]),
    )


def test_without_leave_the_operators_are_named_with_the_last_resort(model, tmp_path):
    with pytest.raises(ValueError, match=r"for Erf, Qr\..*last resort.*Conversion\(allow_flex=True\)"):
        export(model, tmp_path / "refused", sample=IMAGES)
    assert list(tmp_path.iterdir()) == []


def test_manifest_and_card_name_them_and_nothing_is_said_of_predictor_or_latency(artifact):
    formats = artifact.manifest["formats"]
    card = (artifact.folder / "README.md").read_text(encoding="utf-8")
    for name in FORMATS[1:]:
        assert formats[name]["found"]["custom_operators"] == {"FlexErf": 2, "FlexQr": 1}
        assert "latency" not in formats[name]
        assert f"- `{formats[name]['path']}`: " in card
    assert card.count("operators that not every runtime has: 2 FlexErf, 1 FlexQr") == 3
    assert "Apps with LiteRT's Flex delegate" in card
    assert "Predictor" not in card
    assert formats["savedmodel"]["found"]["custom_operators"] == {}


def test_it_is_compared_and_verified_like_every_other(artifact):
    assert artifact.parity["tflite"].images == 9
    assert artifact.parity["tflite"].limits == {"max_abs_diff": 1e-4}
    found = verify(artifact.folder).parity
    for name in FORMATS:
        assert found[name].holds
    assert 0 < found["tflite_fp16"].max_abs_diff < 1e-2


def test_a_weight_that_was_changed_between_flex_operators_is_found(artifact, model, tmp_path):
    folder = Path(shutil.copytree(artifact.folder, tmp_path / "copy"))
    flat = folder / "model.tflite"
    stored = model.layers[-1].kernel.numpy().T.copy()  # as LiteRT keeps it
    changed = stored.copy()
    changed[0] += 1.0
    assert flat.read_bytes().count(stored.tobytes()) == 1
    flat.write_bytes(flat.read_bytes().replace(stored.tobytes(), changed.tobytes()))
    content = manifest.read(folder)
    del content["sha256"]
    manifest.write(folder, content | {"files": manifest.file_table(folder)})
    with pytest.raises(ValueError, match=r"^tflite does not answer like the Keras model"):
        verify(folder)


def test_predictor_and_bench_refuse_it_with_the_next_step(artifact):
    words = (
        r"model\.tflite needs operators that are not builtin: .*FlexErf.*Flex delegate, or run the SavedModel"
    )
    with pytest.raises(ValueError, match=words):
        Predictor(artifact.folder)
    with pytest.raises(ValueError, match=words):
        measure_latency(artifact.folder, seconds=0.01)


def test_int8_cannot_be_calibrated_with_flex_and_says_so(model, tmp_path):
    with pytest.raises(ValueError, match=r"cannot be calibrated for int8: .*no Flex .*the other formats"):
        export(model, tmp_path / "int8", sample=IMAGES, formats=["tflite_int8"], conversion=ALLOWED)
    assert list(tmp_path.iterdir()) == []


def test_leave_changes_nothing_where_no_flex_is_needed(tmp_path):
    """Recurrent loops among them: with Flex they would take any batch, and run in few apps."""
    inputs = keras.Input((3, 4, 4, 1))
    x = layers.Flatten()(layers.ConvLSTM2D(2, 3)(layers.Rescaling(1 / 255)(inputs)))
    clips = np.random.default_rng(0).integers(0, 256, (3, 3, 4, 4, 1), dtype=np.uint8)
    artifact = export(
        keras.Model(inputs, layers.Dense(2)(x)), tmp_path / "clips", sample=clips, formats=["tflite"],
        conversion=ALLOWED,
    )  # fmt: skip
    assert artifact.manifest["formats"]["tflite"]["found"]["custom_operators"] == {}


def test_operators_in_loops_and_those_that_nobody_has_are_refused(tmp_path):
    from ai_edge_litert import schema_py_generated as schema

    converter = tf.lite.TFLiteConverter.from_concrete_functions([looping.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    content = converter.convert()
    assert contents(content)["custom_operators"] == {"FlexErf": 1}
    with pytest.raises(ValueError, match="Flex operators in loops or conditions cannot be run"):
        flex.Parts(content, {}, {})
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    model, code = schema.ModelT(), schema.OperatorCodeT()
    code.customCode, model.operatorCodes = b"Fancy", [code]
    with pytest.raises(ValueError, match="Fancy is neither builtin nor TensorFlow's"):
        flex._custom(model, operator)


@tf.function(input_signature=[tf.TensorSpec((2,), tf.float32)])
def looping(x):
    return tf.while_loop(lambda y: tf.reduce_sum(y) < 9.0, lambda y: [y + 1.0 + tf.math.erf(y)], [x])[0]


def test_custom_operators_of_any_format_need_leave():
    arguments = ({}, None, {}, {}, Limits(), None, None)
    inside = {"onnx": {"custom_operators": {"com.microsoft:Gelu": 1}}, "keras": {"parameters": 3}}
    with pytest.raises(ValueError, match=r"need others: \{'onnx': .*Gelu.*allow_flex=True"):
        Comparison(*arguments)._refuse_custom(inside)
    Comparison(*arguments, allow_flex=True)._refuse_custom(inside)
