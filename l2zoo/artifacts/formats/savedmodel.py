"""`saved_model/1/`: TensorFlow's SavedModel, in the layout TensorFlow Serving expects.

The signature `serving_default` takes the inputs by name, any number of examples.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l2zoo.artifacts.formats.conversion import Source
from l2zoo.artifacts.inputs import Inputs, Outputs, Predict, as_model_input, input_signature

if TYPE_CHECKING:
    import keras

SIGNATURE = "serving_default"
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})  # they compute nothing themselves
_BOOKKEEPING = "_CHECKPOINTABLE_OBJECT_GRAPH"  # which object each variable belongs to


def trace(model: keras.Model, inputs: Inputs, graph: Path, *, batch: int | None = None) -> None:
    """Writes the model's inference graph, from which the formats of TensorFlow are made.

    Tracing is the expensive part (11 of 22 s for MobileNetV2), so it is done once for all of them. What goes
    along is what the graph reads, once: Keras's own exporter stores every weight twice, and the state of
    random generators, which only training asks for.

    Args:
        model: A built model.
        inputs: Real inputs, for their names, shapes and types.
        graph: Folder to write.
        batch: How many examples it takes at once; any number if None.

    Raises:
        ValueError: The graph reads something that belongs to no layer of the model.
    """
    import tensorflow as tf

    def serve(**feed: Any) -> Any:
        return model(as_model_input(model, feed), training=False)

    signature = {
        name: tf.TensorSpec((batch, *shape[1:]), dtype, name=name)
        for name, (shape, dtype) in input_signature(inputs).items()
    }
    traced = tf.function(serve, autograph=False).get_concrete_function(**signature)
    module = tf.Module()
    module.resources = _resources(model, traced)
    tf.saved_model.save(module, str(graph), signatures={SIGNATURE: traced})


def _resources(model: keras.Model, traced: Any) -> list[Any]:
    """What a traced graph reads beside its inputs, in that order: variables, and tables and the like."""
    import tensorflow as tf

    wanted = dict.fromkeys(id(tensor) for tensor in traced.captured_inputs if tensor.dtype == tf.resource)
    found: dict[int, Any] = {}
    for one in _candidates(model, traced):
        if wanted.keys() == found.keys():
            break
        handle = getattr(one, "handle" if isinstance(one, tf.Variable) else "resource_handle", None)
        if id(handle) in wanted:
            found.setdefault(id(handle), one)
    if wanted.keys() != found.keys():
        raise ValueError(
            f"The model reads {len(wanted) - len(found)} of TensorFlow's resources, such as tables, that "
            "belong to none of its layers. Keep each as an attribute of the layer that uses it."
        )
    return [found[handle] for handle in wanted]


def _candidates(model: keras.Model, traced: Any) -> Iterator[Any]:
    """What the graph may read. Most models have nothing but variables, and the last need not be walked."""
    import tensorflow as tf

    yield from traced.variables
    yield from (variable.value for variable in model.variables)
    yield from tf.train.TrackableView(model).descendants()


def write(source: Source, path: Path) -> None:
    """Puts the traced graph where the server looks for version 1."""
    shutil.copytree(source.graph, path)


def open_folder(path: Path) -> tuple[Predict, dict[str, Any]]:
    """Loads the SavedModel with TensorFlow alone and reads what is inside."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures[SIGNATURE]

    def predict(inputs: Inputs) -> Outputs:
        # `loaded` must live as long as its signature: the variables are its own.
        feed = {name: tf.constant(array) for name, array in inputs.items()}
        answers = loaded.signatures[SIGNATURE](**feed)
        return {name: value.numpy() for name, value in answers.items()}

    operators = count_operators(path, SIGNATURE)
    found = {
        "signature": SIGNATURE,
        "operators": dict(sorted(operators.items())),
        "custom_operators": custom_operators(operators),
        "weights": count_variables(path),
        "inputs": _specs(signature.structured_input_signature[1]),
        "outputs": _specs(signature.structured_outputs),
    }
    return predict, found


def _specs(tensors: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {"shape": list(spec.shape), "dtype": spec.dtype.name} for name, spec in sorted(tensors.items())
    }


def count_operators(folder: Path, signature: str) -> Counter[str]:
    """How many operators of each kind a signature runs, with those of the functions that it calls.

    The body of a loop and the branches of a condition count once.

    Args:
        folder: A SavedModel. It must come from a trusted place or have passed its checksum.
        signature: Name of the signature.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    (graph,) = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    bodies = {one.signature.name: one.node_def for one in graph.graph_def.library.function}
    nodes = {node.name: node for node in graph.graph_def.node}
    outputs = {tensor.name.rpartition(":")[0] for tensor in graph.signature_def[signature].outputs.values()}
    return _tally([nodes[name] for name in sorted(outputs)], bodies, {})


def _tally(nodes: Any, bodies: dict[str, Any], known: dict[str, Counter[str]]) -> Counter[str]:
    # Each function is counted once, however many call it: files that were made to deceive nest calls.
    found: Counter[str] = Counter(node.op for node in nodes if node.op not in _CALLS)
    for name in (name for node in nodes for name in _functions(node)):
        if name not in known:
            known[name] = _tally(bodies[name], bodies, known)
        found.update(known[name])
    return found


def _functions(node: Any) -> list[str]:
    """Functions of a call, a loop or a condition."""
    values = node.attr.values()
    return [one.name for value in values for one in (value.func, *value.list.func) if one.name]


def custom_operators(found: Counter[str]) -> dict[str, int]:
    """Those of operators that TensorFlow itself does not have, but a package beside it."""
    import tensorflow as tf

    return {name: many for name, many in sorted(found.items()) if not hasattr(tf.raw_ops, name)}


def count_variables(folder: Path) -> dict[str, int]:
    """How many variables of each type are stored."""
    import tensorflow as tf

    stored = tf.train.load_checkpoint(str(folder / "variables" / "variables")).get_variable_to_dtype_map()
    return dict(sorted(Counter(one.name for name, one in stored.items() if name != _BOOKKEEPING).items()))
