"""What is read out of a TFLite file is what is in it."""

import pytest

from l2zoo.artifact import litert


def converted(written, **settings):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(written.folder / "saved_model" / "1"))
    for name, value in settings.items():
        setattr(converter, name, value)
    return converter.convert()


def test_half_precision_weights_show(written):
    import tensorflow as tf

    spec = tf.lite.TargetSpec(supported_types=[tf.float16])
    found = litert.contents(converted(written, optimizations=[tf.lite.Optimize.DEFAULT], target_spec=spec))
    assert found["weights"]["float16"] > 0
    assert found["operators"]["DEQUANTIZE"] > 0


def test_float_weights_show(written):
    found = litert.contents((written.folder / "model.tflite").read_bytes())
    assert "float16" not in found["weights"]
    assert found["weights"]["float32"] >= 5  # two convolutions with their biases, a matrix with its bias


def test_flex_operators_are_refused_by_name(tmp_path):
    import keras
    import tensorflow as tf

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.ops.erf(inputs))
    # What Keras's own exporter writes unless told otherwise.
    operators = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    path = tmp_path / "flex.tflite"
    model.export(path, format="litert", verbose=False, target_spec={"supported_ops": operators})
    assert litert.contents(path.read_bytes())["custom_operators"] == {"FlexErf": 1}
    with pytest.raises(ValueError, match=r"flex\.tflite needs operators that are not builtin: .*FlexErf"):
        litert.open_file(path)


def test_other_failures_of_the_converter_keep_their_first_line():
    assert litert._reason("something broke\nat length") == (
        "The model cannot be converted to TFLite: something broke"
    )
