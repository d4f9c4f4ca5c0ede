"""Which kernels a normalisation follows: what the model says does not depend on how large they are.

Each kernel is followed through the graph from where it is used. What a tensor does when the kernel becomes
c times itself is a `Scaling`; each layer has a rule for what becomes of it, and a normalisation undoes it.
Where there is no rule the kernel counts as one whose size matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from l2zoo.regularization.graph import Graph, Step, graph_of
from l2zoo.regularization.weights import FREE_ROLES, Weight, weights_of


@dataclass(frozen=True)
class Scaling:
    """What a tensor does when a kernel becomes c times itself, for every c above 0.

    Channel j becomes `c ** degrees[j]` times itself, besides, if `shifted`, a part that stays as it is and is
    the same for all examples and places.

    Attributes:
        degrees: One for each channel, or a single one that holds for all.
        axis: Of the channels, counted from 0; None if all channels are alike and nothing is shifted.
        shifted: Whether there is such a constant part, as a bias leaves it.
    """

    degrees: tuple[int, ...] = (1,)
    axis: int | None = None
    shifted: bool = False

    @property
    def uniform(self) -> bool:
        """Whether the whole tensor becomes a power of c times itself."""
        return len(set(self.degrees)) == 1 and not self.shifted


FIXED = Scaling((0,))
Rule = Callable[[Step, Any, list[Scaling]], Scaling | None]
"""From a call, its layer, and what its tensors do to what comes out of it does; None if that is not known."""


def scale_free_kernels(model: keras.layers.Layer) -> list[Weight]:
    """The kernels whose size changes nothing that the model says in training, for a normalisation follows.

    Their L2 does not make the model simpler: it decides how large they stay, and with it their effective
    learning rate, `lr / |w| ** 2`. Between kernel and normalisation may stand whatever scales along: pooling,
    padding, reshaping, ReLU, layers without bias, and sums and concatenations whose branches all do. A batch
    normalisation in inference mode, as a frozen one is, is none.

    Args:
        model: A built model; models and layers inside it are looked into. What cannot be has none.

    Returns:
        The weights, in the order of the model.

    References:
        van Laarhoven 2017, L2 Regularization versus Batch and Weight Normalization.
    """
    graph = graph_of(model)
    if graph is None:
        return []
    hidden = {id(variable) for step in graph.steps if step.opaque for variable in step.operation.variables}
    kernels = [w for w in weights_of(model) if w.role not in FREE_ROLES and id(w.variable) not in hidden]
    uses: dict[int, set[int]] = {}
    for index, step in enumerate(graph.steps):
        for one in (_layer_in(step.operation), *step.constants):
            uses.setdefault(id(one), set()).add(index)
    last_use = {number: index for index, step in enumerate(graph.steps) for number in step.inputs}
    return [
        w
        for w in kernels
        if _is_scale_free(w, graph, uses.get(id(w.layer), set()) | uses.get(id(w.variable), set()), last_use)
    ]


def _is_scale_free(weight: Weight, graph: Graph, uses: set[int], last_use: dict[int, int]) -> bool:
    """Follows a kernel from the steps that use it until a normalisation has undone its size everywhere."""
    moving: dict[int, Scaling] = {}  # tensors that the kernel's size changes, by their number
    index, until = min(uses, default=0), max(uses, default=-1)
    while index <= until:
        step = graph.steps[index]
        if index in uses or any(number in moving for number in step.inputs):
            scalings = [moving.get(number, FIXED) for number in step.inputs]
            scaling = _after(step, scalings, weight if index in uses else None)
            if scaling is None or (scaling != FIXED and graph.outputs & set(step.outputs)):
                return False
            if scaling != FIXED:
                moving.update(dict.fromkeys(step.outputs, scaling))
                until = max([until, *(last_use.get(number, -1) for number in step.outputs)])
        index += 1
    return bool(uses)


def _layer_in(operation: Any) -> Any:
    """The layer that a wrapper applies as it is, else the operation itself."""
    wrappers = (layers.TimeDistributed, layers.SpectralNormalization)
    return operation.layer if isinstance(operation, wrappers) else operation


def _after(step: Step, scalings: list[Scaling], weight: Weight | None) -> Scaling | None:
    """What comes out of a step does; if `weight` is given, the kernel that becomes larger is its own."""
    operation = _layer_in(step.operation)
    if getattr(operation, "activity_regularizer", None) is not None:
        return None  # the loss would see it
    if isinstance(step.operation, layers.TimeDistributed) and any(
        s.axis not in (None, len(step.shapes[0]) - 1) for s in scalings
    ):
        return None
    if weight is not None:
        return _of_kernel(step, operation, scalings, weight)
    rule = _RULES.get(type(operation)) or _OPERATIONS.get(_name_of(operation))
    return rule(step, operation, scalings) if rule else None


def _name_of(operation: Any) -> str:
    """The class of one of Keras's operations, which have no public names; empty for a layer."""
    kind = type(operation)
    return kind.__name__ if kind.__module__.startswith("keras.src.ops.") else ""


# ---- Layers with kernels -----------------------------------------------------------------------------------


def _of_kernel(step: Step, operation: Any, scalings: list[Scaling], weight: Weight) -> Scaling | None:
    if not isinstance(operation, layers.Layer):
        numbers = [s for s in scalings if s != FIXED]
        return Scaling() if _name_of(operation) in _BILINEAR and not numbers else None
    if type(operation) not in (*_LINEAR, layers.Embedding) or len(scalings) != 1:
        return None
    adapted = getattr(operation, "lora_enabled", False) or getattr(operation, "quantization_mode", None)
    if adapted or not scalings[0].uniform:
        return None
    if isinstance(step.operation, layers.SpectralNormalization):
        return scalings[0] if scalings[0] == FIXED else None
    scaled = Scaling((scalings[0].degrees[0] + 1,))
    return scaled if type(operation) is layers.Embedding else _finish_linear(step, operation, scaled)


def _finish_linear(step: Step, layer: Any, scaling: Scaling) -> Scaling | None:
    """Adds the bias, and applies the activation."""
    if getattr(layer, "bias", None) is not None:
        axis = _channel_axis(layer, len(step.shapes[0]))
        if len(layer.bias.shape) > 1 or scaling.axis not in (None, axis):
            return None
        scaling = Scaling(scaling.degrees, axis, shifted=True)
    return _activate(scaling, layer.activation)


def _linear(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    """Without bias a layer that is linear in its input scales along."""
    (scaling,) = scalings
    if len(set(scaling.degrees)) > 1:
        return None
    if scaling.shifted and not _keeps_constants(layer, scaling, step):
        return None
    axis = _channel_axis(layer, len(step.shapes[0])) if scaling.shifted else None
    return _finish_linear(step, layer, Scaling(scaling.degrees[:1], axis, scaling.shifted))


def _keeps_constants(layer: Any, scaling: Scaling, step: Step) -> bool:
    """Whether an input that is the same everywhere gives an output that is: no border gets zeros."""
    if scaling.axis != _channel_axis(layer, len(step.shapes[0])):
        return False
    if type(layer) is layers.Dense:
        return True
    if type(layer) in _TRANSPOSED or not hasattr(layer, "kernel_size"):
        return False
    return layer.padding == "valid" or set(layer.kernel_size) == {1}


def _depthwise(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    """Each channel on its own, `depth_multiplier` times."""
    (scaling,) = scalings
    axis = _channel_axis(layer, len(step.shapes[0]))
    if scaling.axis not in (None, axis):
        return None
    if scaling.shifted and not _keeps_constants(layer, scaling, step):
        return None
    degrees = scaling.degrees
    if len(degrees) > 1:
        degrees = tuple(degree for degree in degrees for _ in range(layer.depth_multiplier))
    return _finish_linear(step, layer, Scaling(degrees, scaling.axis, scaling.shifted))


def _channel_axis(layer: Any, rank: int) -> int:
    return 1 if getattr(layer, "data_format", None) == "channels_first" else rank - 1


# ---- What scales along -------------------------------------------------------------------------------------


def _keep(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    """Works within each channel, and gives the same constant for a constant: pooling, cropping, resizing."""
    (scaling,) = scalings
    if scaling.axis is None:
        return scaling
    last = scaling.axis == len(step.tensors[0].shape) - 1
    return Scaling(scaling.degrees, len(step.shapes[0]) - 1 if last else scaling.axis, scaling.shifted)


def _keep_unshifted(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    """Works within each channel, but for a constant gives another: zeros at the border, dropout."""
    return None if scalings[0].shifted else _keep(step, layer, scalings)


def _reshape(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    """Moves numbers about: channels are told apart afterwards only where they stay the last axis."""
    (scaling,) = scalings
    before, after = step.tensors[0].shape, step.shapes[0]
    if scaling.axis is None:
        return scaling
    if scaling.axis != len(before) - 1 or not after[-1] or not before[-1] or after[-1] % before[-1]:
        return None
    if type(layer) is not layers.Flatten and after[-1] != before[-1]:
        return None
    degrees = scaling.degrees * (after[-1] // before[-1] if len(scaling.degrees) > 1 else 1)
    return Scaling(degrees, len(after) - 1, scaling.shifted)


def _move_all(step: Step, operation: Any, scalings: list[Scaling]) -> Scaling | None:
    """An operation on one tensor that moves, repeats, adds up or compares its numbers."""
    return scalings[0] if len(scalings) == 1 and scalings[0].uniform else None


def _pad(step: Step, operation: Any, scalings: list[Scaling]) -> Scaling | None:
    scales_along = all(one == 0 or abs(one) == math.inf for one in step.constants)
    return _move_all(step, operation, scalings) if scales_along else None


def _activate(scaling: Scaling, activation: Any) -> Scaling | None:
    if activation in (None, keras.activations.linear):
        return scaling
    homogeneous = activation in (keras.activations.relu, keras.activations.leaky_relu)
    return scaling if homogeneous and not scaling.shifted else None


def _activation(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    return _activate(scalings[0], layer.activation)


def _relu(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    bent = getattr(layer, "max_value", None) is not None or bool(getattr(layer, "threshold", 0))
    return None if bent or scalings[0].shifted else scalings[0]


def _rescaling(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    return scalings[0] if isinstance(layer.offset, int | float) and not layer.offset else None


# ---- Several tensors ---------------------------------------------------------------------------------------


def _sum(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    """All of them must do the same: their sum does too. A vector that is added shifts."""
    first, others = scalings[0], step.constants
    if any(scaling != first for scaling in scalings):
        return None
    if others:
        vector = len(others) == 1 and isinstance(others[0], keras.Variable) and len(others[0].shape) == 1
        last = len(step.shapes[0]) - 1
        return Scaling(first.degrees, last, shifted=True) if vector and first.axis in (None, last) else None
    shapes = {tuple(tensor.shape) for tensor in step.tensors}
    return first if first.axis is None or len(shapes) == 1 else None


def _extreme(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    return None if any(scaling.shifted for scaling in scalings) else _sum(step, layer, scalings)


def _product(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    """Degrees add up."""
    moving = [scaling for scaling in scalings if scaling != FIXED]
    if any(scaling.shifted for scaling in moving):
        return None
    if all(scaling.uniform for scaling in moving):
        return Scaling((sum(scaling.degrees[0] for scaling in moving),))
    shapes = {tuple(tensor.shape) for tensor in step.tensors}
    return (
        moving[0]
        if len(moving) == 1 and moving[0].axis == len(step.shapes[0]) - 1 and _broadcast(shapes)
        else None
    )


def _broadcast(shapes: set[tuple]) -> bool:
    """Whether tensors of these shapes have their axes in common."""
    return len({len(shape) for shape in shapes}) == 1


def _quotient(step: Step, operation: Any, scalings: list[Scaling]) -> Scaling | None:
    return scalings[0] if len(scalings) == 1 and isinstance(step.args[0], keras.KerasTensor) else None


def _bilinear(step: Step, operation: Any, scalings: list[Scaling]) -> Scaling | None:
    return Scaling((sum(s.degrees[0] for s in scalings),)) if all(s.uniform for s in scalings) else None


def _concatenate(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    """Along the channels each keeps its own degree; along another axis all must do the same."""
    shapes = [tensor.shape for tensor in step.tensors]
    axis = layer.axis % len(shapes[0])
    if all(s == scalings[0] for s in scalings) and (scalings[0].axis is None or scalings[0].axis != axis):
        return None if scalings[0].shifted else scalings[0]
    sizes = [shape[axis] for shape in shapes]
    if any(s.axis not in (None, axis) for s in scalings) or None in sizes:
        return None
    parts = (
        s.degrees * n if len(s.degrees) == 1 else s.degrees for s, n in zip(scalings, sizes, strict=True)
    )
    return Scaling(tuple(degree for part in parts for degree in part), axis, any(s.shifted for s in scalings))


# ---- Normalisations ----------------------------------------------------------------------------------------


def _batch_norm(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    """Takes off the mean and the size of each channel; in inference mode it only adds a constant."""
    (scaling,) = scalings
    axis = layer.axis % len(step.shapes[0])
    if scaling.axis not in (None, axis):
        return None
    training = step.kwargs.get("training", step.args[1] if len(step.args) > 1 else None)
    if not layer.trainable or training is False:
        return Scaling(scaling.degrees, axis, shifted=True)
    return FIXED


def _layer_norm(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    """Takes off the mean and the size of all that lies along its axes."""
    (scaling,) = scalings
    rank = len(step.shapes[0])
    axes = {axis % rank for axis in (layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis])}
    centred = type(layer) is layers.LayerNormalization and not getattr(layer, "rms_scaling", False)
    if scaling.uniform:
        return FIXED
    return FIXED if scaling.axis not in axes and (centred or not scaling.shifted) else None


def _group_norm(step: Step, layer: Any, scalings: list[Scaling]) -> Scaling | None:
    """Takes off the mean and the size of each group of channels."""
    (scaling,) = scalings
    axis = layer.axis % len(step.shapes[0])
    channels = step.shapes[0][axis]
    groups = channels if layer.groups == -1 else layer.groups
    if scaling.uniform:
        return FIXED
    if scaling.axis != axis or (scaling.shifted and groups != channels):
        return None
    degrees = scaling.degrees * (channels // len(scaling.degrees))
    size = channels // groups
    each = [set(degrees[first : first + size]) for first in range(0, channels, size)]
    return FIXED if all(len(group) == 1 for group in each) else None


# ---- The table ---------------------------------------------------------------------------------------------


def _classes(*names: str) -> tuple[type, ...]:
    """Keras's layers of these names, of one to three dimensions where there is a `*`; those that it has."""
    spelled = dict.fromkeys(name.replace("*", f"{d}D") for name in names for d in (1, 2, 3))
    return tuple(getattr(layers, name) for name in spelled if hasattr(layers, name))


_TRANSPOSED = _classes("Conv*Transpose")
_DEPTHWISE = _classes("DepthwiseConv*")
_LINEAR = (*_TRANSPOSED, *_DEPTHWISE, *_classes("Conv*", "SeparableConv*", "Dense", "EinsumDense"))
_POOLING = _classes(
    *("MaxPooling*", "AveragePooling*", "GlobalMaxPooling*", "GlobalAveragePooling*"),
    *("AdaptiveMaxPooling*", "AdaptiveAveragePooling*"),
)
_BILINEAR = ("Matmul", "Einsum", "Tensordot", "Conv", "DepthwiseConv", "ConvTranspose", "SeparableConv")
_ROWS: tuple[tuple[Rule, Sequence[type]], ...] = (
    (_linear, _LINEAR),
    (_depthwise, _DEPTHWISE),
    (_keep, (*_POOLING, *_classes("Cropping*", "UpSampling*", "Identity"))),
    (
        _keep_unshifted,
        _classes("ZeroPadding*", "Resizing", "Dropout", "SpatialDropout*", "GaussianDropout"),
    ),
    (_reshape, _classes("Reshape", "Flatten", "Permute", "RepeatVector")),
    (_activation, _classes("Activation")),
    (_relu, _classes("ReLU", "LeakyReLU", "PReLU")),
    (_rescaling, _classes("Rescaling")),
    (_sum, _classes("Add", "Subtract", "Average")),
    (_extreme, _classes("Maximum", "Minimum")),
    (_product, _classes("Multiply")),
    (_concatenate, _classes("Concatenate")),
    (_batch_norm, _classes("BatchNormalization")),
    (_layer_norm, _classes("LayerNormalization", "RMSNormalization", "UnitNormalization")),
    (_group_norm, _classes("GroupNormalization")),
)
_RULES: dict[type, Rule] = {kind: rule for rule, kinds in _ROWS for kind in kinds}
_OPERATIONS: dict[str, Rule] = {
    **dict.fromkeys(("Add", "Subtract"), _sum),
    **dict.fromkeys(("Maximum", "Minimum"), _extreme),
    "Multiply": _product,
    **dict.fromkeys(("Divide", "TrueDivide"), _quotient),
    **dict.fromkeys(_BILINEAR, _bilinear),
    "Concatenate": _concatenate,
    "Pad": _pad,
    **dict.fromkeys(("Relu", "Identity"), _keep_unshifted),
    **dict.fromkeys(
        (
            *(
                "Reshape",
                "Transpose",
                "Squeeze",
                "ExpandDims",
                "Swapaxes",
                "Moveaxis",
                "Flip",
                "Roll",
                "Tile",
            ),
            *(
                "Repeat",
                "GetItem",
                "Cast",
                "Mean",
                "Sum",
                "Max",
                "Min",
                "Absolute",
                "Abs",
                "Split",
                "Unstack",
            ),
            *("MaxPool", "AveragePool", "LeakyRelu", "BroadcastTo"),
        ),
        _move_all,
    ),
}
