"""Small random models of keras-hub, whose config is their constructor's arguments, and what L2 does to them.

What a policy must reach is told without l2zoo: what trains and has two axes or more, but for the biases of
attention, and the tokens and positions that are listed here by hand.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from l2zoo.artifacts import export, load, verify
from l2zoo.regularization.audit import audit
from l2zoo.regularization.policy import L2Policy
from tests import by_hand

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("keras_hub") is None, reason="keras-hub is not installed (the extra `hub`)"
    ),
]
LAM = 1e-3


def hub() -> Any:
    import keras_hub

    return keras_hub.models


def resnet(**kwargs: Any) -> keras.Model:
    return hub().ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        image_shape=(32, 32, 3),
        **{"block_type": "basic_block", **kwargs},
    )


def densenet() -> keras.Model:
    return hub().DenseNetBackbone([1, 2], image_shape=(32, 32, 3), growth_rate=4)


def efficientnet() -> keras.Model:
    return hub().EfficientNetBackbone(
        stackwise_kernel_sizes=[3, 3],
        stackwise_num_repeats=[1, 2],
        stackwise_input_filters=[8, 8],
        stackwise_output_filters=[8, 16],
        stackwise_expansion_ratios=[1, 2],
        stackwise_squeeze_and_excite_ratios=[0.0, 0.25],
        stackwise_strides=[1, 2],
        stackwise_block_types=["fused", "unfused"],
        stackwise_width_coefficients=[1.0, 1.0],
        stackwise_depth_coefficients=[1.0, 1.0],
        input_shape=(32, 32, 3),
    )


def mobilenet() -> keras.Model:
    return hub().MobileNetBackbone(
        stackwise_expansion=[[16], [16, 24]],
        stackwise_num_blocks=[1, 2],
        stackwise_num_filters=[[8], [16, 16]],
        stackwise_kernel_size=[[3], [5, 3]],
        stackwise_num_strides=[[2], [2, 1]],
        stackwise_se_ratio=[[0.25], [None, 0.25]],
        stackwise_activation=[["relu"], ["hard_swish", "hard_swish"]],
        stackwise_padding=[[1], [2, 1]],
        output_num_filters=16,
        depthwise_filters=8,
        depthwise_stride=2,
        depthwise_residual=False,
        last_layer_filter=16,
        squeeze_and_excite=0.5,
        input_num_filters=8,
        image_shape=(32, 32, 3),
    )


def cspnet() -> keras.Model:
    return hub().CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 1],
        stackwise_strides=[1, 2],
        stackwise_num_filters=[8, 16],
        block_type="dark_block",
        stage_type="csp",
        expand_ratio=[2.0],
        image_shape=(32, 32, 3),
    )


def transformer(name: str) -> keras.Model:
    return getattr(hub(), name)((32, 32, 3), (8, 8), 2, 2, 8, 16)


def mit() -> keras.Model:
    return hub().MiTBackbone(
        layerwise_depths=[1] * 4,
        num_layers=4,
        layerwise_num_heads=[1, 1, 2, 2],
        layerwise_sr_ratios=[4, 2, 1, 1],
        max_drop_path_rate=0.1,
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        image_shape=(64, 64, 3),
        hidden_dims=[4, 8, 12, 16],
    )


def segformer() -> keras.Model:
    return hub().SegFormerImageSegmenter(hub().SegFormerBackbone(mit(), projection_filters=8), num_classes=3)


def retinanet() -> keras.Model:
    image_encoder = hub().ResNetBackbone(
        [64], [3], [64] * 4, [1] * 4, [1, 2, 2, 2], "basic_block", image_shape=(128, 128, 3)
    )
    pyramid = hub().RetinaNetBackbone(
        image_encoder, min_level=3, max_level=5, use_p5=False, image_shape=(128, 128, 3)
    )
    return hub().RetinaNetObjectDetector(
        pyramid,
        num_classes=3,
        pre_logits_num_conv_layers=1,
        use_prediction_head_norm=True,
        bounding_box_format="xyxy",
    )


def sam_encoder() -> keras.Model:
    return hub().ViTDetBackbone(
        hidden_size=8,
        num_layers=2,
        intermediate_dim=16,
        num_heads=2,
        global_attention_layer_indices=[1],
        image_shape=(32, 32, 3),
        patch_size=4,
        num_output_channels=8,
        window_size=2,
    )


def text(name: str) -> keras.Model:
    return getattr(hub(), name)(20, 2, 2, 8, 16, max_sequence_length=12)


def classifier(backbone: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    return lambda: hub().ImageClassifier(backbone(), num_classes=3)


class Case(NamedTuple):
    """A model, and by hand the ends of the paths of what has two axes or more and is exempt all the same."""

    build: Callable[[], keras.Model]
    exempt: tuple[str, ...] = ()


TOKENS_OF_DEIT = ("/class_token", "/distillation_token", "/position_embedding")
CASES = {
    "ResNet": Case(resnet),
    "ResNet, version 2": Case(lambda: resnet(block_type="bottleneck_block", use_pre_activation=True)),
    "ResNet classifier": Case(classifier(resnet)),
    "DenseNet": Case(densenet),
    "EfficientNet": Case(efficientnet),
    "EfficientNet classifier": Case(classifier(efficientnet)),
    "MobileNet": Case(mobilenet),
    "CSPNet": Case(cspnet),
    "ViT": Case(lambda: transformer("ViTBackbone"), ("/class_token", "/position_embedding/embeddings")),
    "ViT classifier": Case(
        lambda: hub().ViTImageClassifier(transformer("ViTBackbone"), num_classes=3),
        ("/class_token", "/position_embedding/embeddings"),
    ),
    "DeiT": Case(lambda: transformer("DeiTBackbone"), TOKENS_OF_DEIT),
    "MiT": Case(mit),
    "SegFormer": Case(segformer),
    "RetinaNet": Case(retinanet),
    "SAM's encoder": Case(sam_encoder, ("/pos_embed", "/rel_pos_h", "/rel_pos_w")),
    "BERT": Case(lambda: text("BertBackbone"), ("position_embedding/embeddings",)),
    "GPT-2": Case(lambda: text("GPT2Backbone"), ("position_embedding/embeddings",)),
}


@pytest.fixture(autouse=True)
def free_memory() -> Iterator[None]:
    yield
    keras.utils.clear_session()


# One of each kind: convolutions, and attention on pixels and on words.
FIRST = ("ResNet", "ViT", "BERT")


@pytest.fixture(
    params=[name if name in FIRST else pytest.param(name, marks=pytest.mark.sweep) for name in CASES]
)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def penalised(model: keras.Model, exempt: tuple[str, ...]) -> list[str]:
    matrices = [w.path for w in model.trainable_weights if len(w.shape) >= 2 and w.name != "bias"]
    found = [path for path in matrices if path.endswith(exempt)] if exempt else []
    assert len({path.rpartition("/")[2] for path in found}) == len({end.rpartition("/")[2] for end in exempt})
    return [path for path in matrices if path not in found]


def batch(model: keras.Model) -> Any:
    """Random inputs, two of each."""
    rng = np.random.default_rng(0)

    def values(tensor: Any) -> np.ndarray:
        shape = (2, *(size or 12 for size in tensor.shape[1:]))
        if "int" in tensor.dtype:
            return rng.integers(0, 2, shape).astype(tensor.dtype)
        return rng.uniform(0, 1, shape).astype("float32")

    return keras.tree.map_structure(values, model.input)


def test_the_penalty_is_numpy_s_and_travels_with_the_file(case: Case, tmp_path: Path) -> None:
    model = by_hand.randomise(case.build())
    paths = penalised(model, case.exempt)
    expected = by_hand.penalty(model, paths, LAM)
    assert L2Policy(LAM).apply(model) is model  # without a warning
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-5)
    found = audit(model)
    assert found.problems == ()
    assert {row.path for row in found.rows if row.strength} == set(paths)
    exempt = {row.role for row in found.rows if row.path.endswith(case.exempt or ("nothing",))}
    assert exempt <= {"token", "position"}
    again = by_hand.reloaded(model, tmp_path, compile=False)
    assert by_hand.added_loss(again) == pytest.approx(expected, rel=1e-5)
    assert [(row.role, row.strength) for row in audit(again).rows] == [
        (row.role, row.strength) for row in found.rows
    ]
    L2Policy(2 * LAM).apply(again)  # which knows the penalty in the file for a policy's
    assert by_hand.added_loss(again) == pytest.approx(2 * expected, rel=1e-5)


class Squares(keras.Model):
    """A model around another, whose data loss is the mean of all its squared answers."""

    def __init__(self, model: keras.Model):
        super().__init__()
        self.model = model

    def call(self, x: Any, training: bool | None = None) -> Any:
        outputs = keras.tree.flatten(self.model(x, training=training))
        return sum(keras.ops.mean(keras.ops.square(one), keepdims=True, axis=None) for one in outputs)


def step(model: keras.Model, x: Any, start: list[np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    """The loss of one step of SGD from these values, random states among them, and the weights after it."""
    for variable, value in zip(model.variables, start, strict=True):
        variable.assign(value)
    outer = Squares(model)
    outer.compile(keras.optimizers.SGD(0.1), "mean_absolute_error", run_eagerly=True)
    loss = float(outer.train_on_batch(x, np.zeros((2, 1))))
    return loss, {v.path: keras.ops.convert_to_numpy(v.value) for v in model.trainable_variables}


def test_a_step_takes_the_gradient_of_the_data_and_of_the_penalty(case: Case) -> None:
    model, x = case.build(), None
    x = batch(model)
    start = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    data, without = step(model, x, start)
    L2Policy(LAM).apply(model)
    paths = penalised(model, case.exempt)
    before = dict(zip([v.path for v in model.variables], start, strict=True))
    loss, weights = step(model, x, start)
    penalty = LAM * sum(np.square(before[path], dtype="float64").sum() for path in paths)
    assert loss == pytest.approx(data + penalty, rel=1e-4)
    for path, weight in weights.items():
        shrunk = 0.1 * 2 * LAM * before[path] if path in paths else 0.0
        np.testing.assert_allclose(weight, without[path] - shrunk, rtol=1e-4, atol=1e-6, err_msg=path)


def test_weight_decay_reaches_the_same_weights_also_after_reload(case: Case, tmp_path: Path) -> None:
    model = by_hand.randomise(case.build())
    optimizer = L2Policy(0.1, decoupled=True).optimizer(keras.optimizers.SGD(0.5), model)
    model.compile(optimizer, "mse")
    models = [model]
    if type(model).compile is keras.Model.compile:  # keras-hub's tasks have their own, and are loaded without
        models.append(by_hand.reloaded(model, tmp_path))
    for one in models:
        paths, before = penalised(one, case.exempt), by_hand.arrays(one)
        variables = one.trainable_variables
        one.optimizer.apply([keras.ops.zeros_like(v) for v in variables], variables)
        for path, value in by_hand.arrays(one).items():
            factor = 1 - 0.5 * 0.1 if path in paths else 1.0
            np.testing.assert_allclose(value, factor * before[path], rtol=1e-6, err_msg=path)


EXPORTED = (
    pytest.param("ResNet classifier", marks=pytest.mark.sweep),
    pytest.param("MobileNet", marks=pytest.mark.sweep),
    "ViT classifier",
)


@pytest.mark.filterwarnings("ignore:.*method is custom")  # of keras-hub's tasks, when they are loaded
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="export needs Keras on TensorFlow")
@pytest.mark.parametrize("name", EXPORTED)
def test_what_is_exported_answers_like_the_model_and_keeps_its_penalty(name: str, tmp_path: Path) -> None:
    model = L2Policy(LAM).apply(CASES[name].build())
    images = np.random.default_rng(0).integers(0, 255, (8, *model.input_shape[1:])).astype("uint8")
    artifact = export(model, tmp_path / "artifact", sample=images)
    assert set(artifact.parity) >= {"keras", "savedmodel", "tflite"}
    assert verify(tmp_path / "artifact")
    assert audit(load(tmp_path / "artifact")).summary == audit(model).summary
