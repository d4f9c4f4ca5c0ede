"""A SavedModel holds what its graph reads, once, and nothing of the training."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from l2zoo.artifacts import export
from l2zoo.artifacts.formats import savedmodel

layers = keras.layers
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)


def variables_of(folder):
    """Shapes of the stored variables, as TensorFlow lists them; one entry says which object is which."""
    stored = tf.train.list_variables(str(folder / "variables" / "variables"))
    return Counter(tuple(shape) for name, shape in stored if name != "_CHECKPOINTABLE_OBJECT_GRAPH")


def test_no_weight_is_stored_twice_and_nothing_of_the_training(written, trained):
    """The network has been trained by Adam, with a dropout that has a generator of random numbers."""
    (dropout,) = [layer for layer in trained.model.layers if isinstance(layer, layers.Dropout)]
    assert dropout.variables
    assert trained.model.optimizer.variables
    weights = [one for layer in trained.model.layers if layer is not dropout for one in layer.get_weights()]
    assert variables_of(written.folder / "saved_model" / "1") == Counter(one.shape for one in weights)


def test_the_files_of_variables_are_as_large_as_the_weights(tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(900)(layers.Flatten()(layers.Rescaling(1 / 255)(inputs)))
    model = keras.Model(inputs, layers.Dense(3)(x))
    artifact = export(model, tmp_path / "large", sample=IMAGES, formats=["savedmodel"])
    folder = artifact.folder / "saved_model" / "1" / "variables"
    weights = 4 * (64 * 900 + 900 + 900 * 3 + 3)
    assert weights < sum(path.stat().st_size for path in folder.iterdir()) < weights + 3000


@keras.saving.register_keras_serializable(package="l2zoo_tests")
class Keeper(layers.Layer):
    """Reads what Keras knows and what it does not: variables and a table of TensorFlow's."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")
        self.raw = {"deep": [tf.Variable(np.full(shape[-1], 2.0, np.float32))]}
        pairs = tf.lookup.KeyValueTensorInitializer([1, 2], [0.25, 0.5])
        self.table = tf.lookup.StaticHashTable(pairs, 0.0)
        self.constant = tf.constant(3.0)

    def call(self, x):
        known = self.table.lookup(tf.constant([1, 2, 7]))  # 0.25, 0.5, 0
        return x * self.scale * self.raw["deep"][0] + tf.reduce_sum(known) + self.constant


@pytest.mark.slow
def test_everything_that_custom_layers_augmentation_and_loops_read_is_stored(tmp_path):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((8, 8, 1))
    x = layers.RandomRotation(0.1)(layers.RandomFlip()(layers.Rescaling(1 / 255)(inputs)))
    x = Keeper()(layers.BatchNormalization()(layers.Conv2D(3, 3)(x)))
    x = layers.Dropout(0.5)(layers.GRU(4)(layers.Reshape((36, 3))(x)))
    model = keras.Model(inputs, {"size": layers.Dense(1)(x), "kind": layers.Dense(2)(x)})
    model.compile("adam", {"size": "mse", "kind": "mse"})
    artifact = export(model, tmp_path / "keeper", sample=IMAGES, formats=["savedmodel"])
    folder = artifact.folder / "saved_model" / "1"
    images = IMAGES.astype(np.float32)
    loaded = tf.saved_model.load(str(folder))
    answers = loaded.signatures["serving_default"](images=tf.constant(images))
    for name, wanted in model.predict(images, verbose=0).items():
        np.testing.assert_allclose(answers[name], wanted, atol=1e-5)
    floats = [one for one in model.get_weights() if one.dtype == np.float32]  # the others are random state
    assert variables_of(folder) == Counter(one.shape for one in floats) + Counter([(3,)])  # and the raw one


def test_a_stateful_layer_goes_on_from_call_to_call(tmp_path):
    inputs = keras.Input((3, 2), batch_size=2)
    model = keras.Model(inputs, layers.LSTM(4, stateful=True)(inputs))
    feed = np.random.default_rng(0).random((2, 3, 2), dtype=np.float32)
    savedmodel.trace(model, {"series": feed}, tmp_path / "graph", batch=2)
    loaded = tf.saved_model.load(str(tmp_path / "graph"))
    first, second = (
        loaded.signatures["serving_default"](series=tf.constant(feed))["output_0"] for _ in range(2)
    )
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_allclose(first, model(feed), atol=1e-6)
    np.testing.assert_allclose(second, model(feed), atol=1e-6)


def test_a_table_that_belongs_to_no_layer_is_refused_with_the_way_out(tmp_path):
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1], [2.0]), 0.0)

    class Borrower(layers.Layer):
        def call(self, x):
            return x + table.lookup(tf.constant([1]))

    model = keras.Sequential([keras.Input((3,)), Borrower()])
    with pytest.raises(ValueError, match=r"reads 1 of TensorFlow's resources.*an attribute of the layer"):
        savedmodel.trace(model, {"numbers": np.zeros((1, 3), np.float32)}, tmp_path / "graph")


def test_the_manifest_says_what_is_in_the_graph_and_in_the_variables(written):
    found = written.manifest["formats"]["savedmodel"]["found"]
    # By hand: two convolutions with a ReLU each, one normalisation (its reciprocal root), one dense layer.
    wanted = {"Conv2D": 2, "Relu": 2, "Rsqrt": 1, "MatMul": 1, "Mean": 1, "Softmax": 1}
    assert {name: found["operators"][name] for name in wanted} == wanted
    assert not {"RandomUniform", "StatelessRandomUniformV2", "L2Loss", "Square"} & set(found["operators"])
    assert found["custom_operators"] == {}
    assert found["weights"] == {"float32": 1 + 4 + 2 + 2}  # kernel; normalisation; kernel, bias; kernel, bias


def test_an_operator_that_tensorflow_does_not_have_is_custom():
    assert savedmodel.custom_operators(Counter({"MatMul": 3, "FancyTokenizer": 2})) == {"FancyTokenizer": 2}


def test_calls_that_double_sixty_times_are_counted_at_once(tmp_path):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    graph = saved.meta_graphs.add()
    start = graph.graph_def.node.add(name="start", op="StatefulPartitionedCall")
    start.attr["f"].func.name = "f0"
    graph.signature_def["serving_default"].outputs["output_0"].name = "start:0"
    for depth in range(60):
        function = graph.graph_def.library.function.add()
        function.signature.name = f"f{depth}"
        for side in "ab":
            call = function.node_def.add(name=side, op="PartitionedCall")
            call.attr["f"].func.name = f"f{depth + 1}"
    last = graph.graph_def.library.function.add()
    last.signature.name = "f60"
    last.node_def.add(name="sum", op="AddV2")
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    assert savedmodel.count_operators(tmp_path, "serving_default") == {"AddV2": 2**60}


@pytest.mark.slow
def test_tensorflow_s_own_command_shows_the_named_inputs_and_outputs(written):
    command = Path(sys.executable).with_name("saved_model_cli")
    folder = written.folder / "saved_model" / "1"
    options = ["show", "--dir", folder, "--tag_set", "serve", "--signature_def", "serving_default"]
    done = subprocess.run([command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "inputs['images'] tensor_info: dtype: DT_FLOAT shape: (-1, 8, 8, 1)" in said
    assert "outputs['output_0'] tensor_info: dtype: DT_FLOAT shape: (-1, 10)" in said
    assert "Method name is: tensorflow/serving/predict" in said
