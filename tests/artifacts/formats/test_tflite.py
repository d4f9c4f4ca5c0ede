"""A TFLite file runs with builtin operators alone."""

import pytest

from l2zoo.artifacts.formats import tflite
from l2zoo.artifacts.formats.inspect_tflite import contents


def test_flex_operators_are_refused_by_name(tmp_path):
    import keras
    import tensorflow as tf

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.ops.erf(inputs))
    # What Keras's own exporter writes unless told otherwise.
    operators = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    path = tmp_path / "flex.tflite"
    model.export(path, format="litert", verbose=False, target_spec={"supported_ops": operators})
    assert contents(path.read_bytes())["custom_operators"] == {"FlexErf": 1}
    with pytest.raises(ValueError, match=r"flex\.tflite needs operators that are not builtin: .*FlexErf"):
        tflite.open_file(path)


def test_other_failures_of_the_converter_keep_their_first_line():
    assert tflite._reason("something broke\nat length") == (
        "The model cannot be converted to TFLite: something broke"
    )
