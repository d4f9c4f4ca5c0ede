"""What is in a SavedModel, read from its own files: operators from the graph, types from the variables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})  # they compute nothing themselves
_BOOKKEEPING = "_CHECKPOINTABLE_OBJECT_GRAPH"  # which object each variable belongs to


def operators(folder: Path, signature: str) -> Counter[str]:
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
    for name in (name for node in nodes for name in _called(node)):
        if name not in known:
            known[name] = _tally(bodies[name], bodies, known)
        found.update(known[name])
    return found


def _called(node: Any) -> list[str]:
    """Functions of a call, a loop or a condition."""
    values = node.attr.values()
    return [one.name for value in values for one in (value.func, *value.list.func) if one.name]


def custom(found: Counter[str]) -> dict[str, int]:
    """Those of operators that TensorFlow itself does not have, but a package beside it."""
    import tensorflow as tf

    return {name: many for name, many in sorted(found.items()) if not hasattr(tf.raw_ops, name)}


def weights(folder: Path) -> dict[str, int]:
    """How many variables of each type are stored."""
    import tensorflow as tf

    stored = tf.train.load_checkpoint(str(folder / "variables" / "variables")).get_variable_to_dtype_map()
    return dict(sorted(Counter(one.name for name, one in stored.items() if name != _BOOKKEEPING).items()))
