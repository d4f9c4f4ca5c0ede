"""What holds for every model.

For those of Keras's applications that L2 reaches every kernel and stays there; for those of the zoo all that
is promised of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo import zoo
from l2zoo.models import efficientnet_lite, resnet
from l2zoo.regularization.audit import audit
from l2zoo.regularization.policy import L2Policy
from tests import by_hand

# One of each architecture goes through a real file; the rest are made once more from their configuration and
# given the same weights, which is what loading does, without writing up to 1.4 GB to disk.
THROUGH_A_FILE = (
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "Xception",
)
# Depthwise and squeezing convolutions: where a kernel is easily missed.
QUICK = ("MobileNetV3Small",)
# The slow tests have these besides: scales of layers, what is joined from everywhere, a rescaled input.
SLOW = ("ConvNeXtTiny", "DenseNet121", "EfficientNetB0")
# Those that are built most quickly, by JAX and PyTorch too.
ON_EVERY_BACKEND = (
    "ConvNeXtTiny",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "VGG19",
    "Xception",
)
SMALLEST_INPUT = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}
APPLICATIONS = sorted(
    name for name, value in vars(keras.applications).items() if name[0].isupper() and callable(value)
)


@pytest.fixture
def free_memory() -> Iterator[None]:
    yield
    keras.utils.clear_session()  # collects garbage too


def application(name: str) -> keras.Model:
    side = SMALLEST_INPUT.get(name, 32)
    build: Callable[..., keras.Model] = getattr(keras.applications, name)
    return build(weights=None, input_shape=(side, side, 3), classes=10)


def kernels(model: keras.Model) -> list[Any]:
    """Independently of l2zoo: what trains and has two axes or more."""
    return [weight for weight in model.trainable_weights if len(weight.shape) >= 2]


def penalty_by_hand(model: keras.Model, lam: float) -> float:
    values = (keras.ops.convert_to_numpy(kernel.value) for kernel in kernels(model))
    return lam * sum(float(np.square(value).sum(dtype="float64")) for value in values)


def made_again(model: keras.Model) -> keras.Model:
    twin = model.__class__.from_config(model.get_config())
    for theirs, mine in zip(twin.weights, model.weights, strict=True):
        theirs.assign(mine)
    return twin


def test_no_application_is_left_out() -> None:
    assert len(APPLICATIONS) >= 40
    assert set(THROUGH_A_FILE) <= set(APPLICATIONS)
    assert len(set(ON_EVERY_BACKEND) & set(APPLICATIONS)) >= 10


def marks_of(name: str) -> list[pytest.MarkDecorator]:
    slow = [] if name in QUICK else more_of_the_same(name in SLOW)
    return [*slow, pytest.mark.backends] if name in ON_EVERY_BACKEND else slow


def more_of_the_same(first: bool) -> list[pytest.MarkDecorator]:
    """Marks of a slow test: of the first of a family, or of one that has more of the same layers."""
    return [pytest.mark.slow] if first else [pytest.mark.slow, pytest.mark.sweep]


@pytest.mark.sweep_elsewhere
@pytest.mark.usefixtures("free_memory")
@pytest.mark.parametrize("name", [pytest.param(n, marks=marks_of(n)) for n in APPLICATIONS])
def test_every_kernel_of_an_application_is_penalised_and_stays_so(name: str, tmp_path: Path) -> None:
    model = L2Policy(1e-4, convention="pytorch").apply(application(name))
    expected = penalty_by_hand(model, 5e-5)
    assert len(model.losses) == len(kernels(model))
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-5)
    found = audit(model)
    assert found.penalty == pytest.approx(by_hand.added_loss(model), rel=1e-6)
    assert found.problems == ()
    again = by_hand.reloaded(model, tmp_path) if name in THROUGH_A_FILE else made_again(model)
    assert len(again.losses) == len(kernels(model))
    assert by_hand.added_loss(again) == pytest.approx(by_hand.added_loss(model), rel=1e-6)


# One for each way through a builder is trained and exported; what is left out has more of the same blocks.
WHOLE = (
    "cnn",
    "cnn_plain",
    "efficientnet_lite0",
    "resnet18",
    "resnet20",
    "resnet20v2",
    "resnet50",
    "resnet50v2",
    "unet",
)
# Those with several inputs or outputs are trained here too, more quickly in the tests of each; their exported
# files are tested with their tasks.
OTHERS = ("detector", "diffusion", "video")
# Where models are trained and exported they are small: few blocks and channels, each kind of block once.
FEW_BLOCKS = {
    18: resnet.Plan(8, (1, 1)),
    20: resnet.Plan(8, (1, 1), imagenet=False),
    50: resnet.Plan(8, (2, 1), bottleneck=True),
}
FEW_STAGES = (efficientnet_lite.Stage(1, 3, 1, 1, 8), efficientnet_lite.Stage(2, 5, 2, 2, 16))
FEW_CHANNELS: dict[str, dict[str, Any]] = {
    "cnn": {"filters": (4, 8)},
    "cnn_plain": {"filters": (4, 8)},
    "unet": {"filters": (4, 8)},
    "detector": {"channels": 8, "depth": 1},
    "diffusion": {"filters": (8, 16)},
    "video": {"filters": (4, 6)},
}
# With these a step is tried whenever anything has changed; the others are trained with the slow tests.
STEPS = ("cnn", "unet", "video")
# What comes out for images of 32x32 pixels and 4 classes.
SHAPES = {
    "classification": (None, 4),
    "segmentation": (None, 32, 32, 4),
    "generation": (None, 32, 32, 3),
    "video": (None, 3, 32, 32, 3),
    "detection": {"class_logits": (None, 84, 4), "sides": (None, 84, 4), "centerness_logits": (None, 84, 1)},
}
# What is left out has more of the same blocks; their weights are counted in test_resnet.py and
# test_efficientnet_lite.py.
LIKE_NO_OTHER = ("cnn", "resnet20", "unet", *OTHERS)
FIRST = ("cnn_plain", "diffusion", "efficientnet_lite0", "resnet50v2")  # with layers that the quick ones lack
DEEP = ("resnet101", "resnet110", "resnet152", "resnet32", "resnet44", "resnet56", "efficientnet_lite4")
BETWEEN = ("efficientnet_lite1", "efficientnet_lite2", "efficientnet_lite3")  # the smallest and the largest
LAM = 1e-3


def of_the_zoo(name: str, l2: float | None = LAM, **options: Any) -> keras.Model:
    if zoo.find(name).task == "video":
        return zoo.build(name, (3, 32, 32, 3), l2=l2, options=options)
    return zoo.build(name, (32, 32, 3), 4, l2=l2, options=options)


def small(name: str, l2: float | None = LAM) -> keras.Model:
    """A model of the zoo with few blocks and channels."""
    with pytest.MonkeyPatch.context() as patch:
        for depth, plan in FEW_BLOCKS.items():
            patch.setitem(resnet.DEPTHS, depth, plan)
        patch.setattr(efficientnet_lite, "STAGES", FEW_STAGES)
        return of_the_zoo(name, l2, **FEW_CHANNELS.get(name, {}))


def some(quick: tuple[str, ...], names: Collection[str]) -> list[Any]:
    """Parameters: the first quick one is quick on every backend.

    Elsewhere than on TensorFlow all others are for the sweep; of the very deep ones, which have no layer that
    the others have not, TensorFlow is enough.
    """
    marks = {name: [pytest.mark.sweep_elsewhere] for name in quick} | {quick[0]: []}
    for name in set(names).difference(marks):
        marks[name] = [*more_of_the_same(name in FIRST), pytest.mark.sweep_elsewhere]
    backends = {name: [] if name.startswith(DEEP) else [pytest.mark.backends] for name in names}
    return [pytest.param(name, marks=[*marks[name], *backends[name]]) for name in names]


def pixels(n: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3)).astype("uint8")


def inputs(name: str, n: int = 4) -> Any:
    """What a model of `of_the_zoo` takes."""
    task = zoo.find(name).task
    if task == "generation":
        rng = np.random.default_rng(0)
        times, labels = rng.random(n, "float32"), rng.integers(0, 5, n).astype("int32")
        return {"images": pixels(n).astype("float32"), "times": times, "labels": labels}
    return np.stack([pixels(n)] * 3, axis=1) if task == "video" else pixels(n)


def by_output(name: str, value: Any) -> Any:
    """The same for each output, as `compile` takes it."""
    outputs = SHAPES[zoo.find(name).task]
    return dict.fromkeys(outputs, value) if isinstance(outputs, dict) else value


def answers(model: keras.Model, x: Any) -> Any:
    """What a model predicts, without a trace for it; JAX, which would compile each operation, makes one."""
    if keras.backend.backend() == "jax":
        return model.predict(x, verbose=0)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(x, training=False))


def nothing(y: Any, outputs: Any) -> Any:
    """A loss of 0, of whose gradients, which are zeros, no backend complains."""
    return keras.ops.mean(keras.ops.cast(outputs, "float32"), axis=tuple(range(1, len(outputs.shape)))) * 0.0


@pytest.mark.usefixtures("free_memory")
@pytest.mark.parametrize(
    "name", some(LIKE_NO_OTHER, [name for name in zoo.list_models() if name not in BETWEEN])
)
def test_every_weight_of_a_model_of_the_zoo_is_penalised_or_exempt_as_listed(name: str) -> None:
    model = of_the_zoo(name)
    assert model.name == name
    outputs = model.output
    found = {n: x.shape for n, x in outputs.items()} if isinstance(outputs, dict) else outputs.shape
    assert found == SHAPES[zoo.find(name).task]
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names)
    free_twin = of_the_zoo(name, l2=0.0)
    assert [layer.name for layer in free_twin.layers] == names  # explicit, not counted by Keras
    assert free_twin.losses == []
    free = {w.name for w in model.trainable_weights if w.regularizer is None}
    assert free <= {"bias", "gamma", "beta"}
    expected = LAM * sum(
        float(np.square(keras.ops.convert_to_numpy(kernel)).sum(dtype="float64")) for kernel in kernels(model)
    )
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-5)
    audited = audit(model)
    assert audited.penalty == pytest.approx(expected, rel=1e-5)
    assert audited.problems == ()


@pytest.mark.parametrize("name", some(STEPS, WHOLE))
def test_a_step_of_training_adds_the_penalty_to_the_data_loss_and_a_file_keeps_both(
    name: str, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    model = small(name)
    last = model.get_layer("logits").kernel
    last.assign(last * 0.01)  # untrained, a deep one is so sure that Keras clips its probabilities
    # Not the sparse one: its gradient for pixels fails in Keras 3.15 on PyTorch 2.13.
    model.compile(keras.optimizers.SGD(1e-3), "categorical_crossentropy")
    x = pixels()
    probabilities = answers(model, x)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)
    y = np.random.default_rng(1).integers(0, 4, probabilities.shape[:-1])
    data_loss = -np.log(np.take_along_axis(probabilities, y[..., None], axis=-1)).mean()
    y = keras.utils.to_categorical(y, 4)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(data_loss + by_hand.added_loss(model), rel=1e-4)
    assert np.isfinite(model.train_on_batch(x, y))
    again = by_hand.reloaded(model, tmp_path)
    assert by_hand.added_loss(again) == pytest.approx(by_hand.added_loss(model), rel=1e-6)
    np.testing.assert_allclose(answers(again, x), answers(model, x), atol=1e-6)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_the_same_of_models_of_several_inputs_or_outputs(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model, x = small(name), inputs(name)
    model.compile(keras.optimizers.SGD(1e-6), by_output(name, "mse"))
    found = answers(model, x)
    rng = np.random.default_rng(1)
    y = keras.tree.map_structure(lambda part: part + rng.normal(size=part.shape).astype("float32"), found)
    errors = keras.tree.map_structure(lambda one, other: np.square(one - other).mean(), y, found)
    data_loss = sum(keras.tree.flatten(errors))
    expected = data_loss + by_hand.added_loss(model)
    assert by_hand.added_loss(model) > 0.01 * expected  # so that it would be missed
    total = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    assert total == pytest.approx(expected, rel=1e-4)
    assert np.isfinite(model.train_on_batch(x, y)).all()
    again = by_hand.reloaded(model, tmp_path)
    assert by_hand.added_loss(again) == pytest.approx(by_hand.added_loss(model), rel=1e-6)
    for one, other in zip(
        keras.tree.flatten(answers(again, x)),
        keras.tree.flatten(answers(model, x)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-6 * np.abs(other).max())


def detection_loss_by_hand(y: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> float:
    """FCOS: focal loss of the classes, 1 - GIoU by centerness, cross-entropy of the centerness."""
    labels, centred = y["class_logits"][..., 0], y["centerness_logits"][..., 0]
    seen = labels >= 0
    sure = 1 / (1 + np.exp(-found["class_logits"].astype("float64")))
    right = labels[..., None] == np.arange(sure.shape[-1])
    p = np.where(right, sure, 1 - sure)
    classes = (np.where(right, 0.25, 0.75) * (1 - p) ** 2 * -np.log(p)).sum() / seen.sum()
    # Left, top, right and bottom around the same place: corners (-l, -t, r, b).
    one, other = (
        np.concatenate([-b[..., :2], b[..., 2:]], axis=-1) for b in (y["sides"][..., :4], found["sides"])
    )
    areas = [np.prod(b[..., 2:] - b[..., :2], axis=-1) for b in (one, other)]
    low, high = np.maximum(one, other)[..., :2], np.minimum(one, other)[..., 2:]
    shared = np.prod(high - low, axis=-1)
    low, high = np.minimum(one, other)[..., :2], np.maximum(one, other)[..., 2:]
    around = np.prod(high - low, axis=-1)
    union = sum(areas) - shared
    giou = shared / union - (around - union) / around
    sides = ((1 - giou) * centred)[seen].sum() / centred.sum()
    sure = 1 / (1 + np.exp(-found["centerness_logits"][..., 0].astype("float64")))
    surprise = -(centred * np.log(sure) + (1 - centred) * np.log(1 - sure))
    return float(classes + sides + surprise[seen].mean())


@pytest.mark.slow
@pytest.mark.backends
def test_a_step_of_a_detector_adds_the_penalty_to_its_own_losses(tmp_path: Path) -> None:
    from l2zoo.tasks import Detection

    keras.utils.set_random_seed(0)
    model, x = small("detector"), pixels(4)
    rng = np.random.default_rng(1)
    labels = rng.integers(-1, 4, (4, 84, 1)).astype("float32")
    centred = np.where(labels < 0, 0, rng.uniform(0.1, 1, labels.shape)).astype("float32")
    sides = np.where(labels < 0, 0, rng.uniform(1, 20, (4, 84, 4))).astype("float32")
    y = {
        "class_logits": labels,
        "sides": np.concatenate([sides, centred], axis=-1),
        "centerness_logits": centred,
    }
    losses = Detection(["a", "b", "c", "d"]).compiling()["loss"]
    model.compile(keras.optimizers.SGD(1e-2), losses)
    outputs = model(x, training=True)  # a step normalises by its batch
    data_loss = detection_loss_by_hand(y, {n: keras.ops.convert_to_numpy(o) for n, o in outputs.items()})
    penalty = by_hand.added_loss(model)
    assert penalty > 0.01 * data_loss  # so that it would be missed
    steps = [model.train_on_batch(x, y, return_dict=True)["loss"] for _ in range(3)]
    assert steps[0] == pytest.approx(data_loss + penalty, rel=1e-4)
    assert steps[2] < steps[0]
    again = by_hand.reloaded(model, tmp_path)
    assert by_hand.added_loss(again) == pytest.approx(by_hand.added_loss(model), rel=1e-6)
    found, outputs = answers(again, x), answers(model, x)
    for name in outputs:
        np.testing.assert_allclose(found[name], outputs[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", some(STEPS, (*WHOLE, *OTHERS)))
def test_a_step_without_data_loss_shrinks_every_kernel_by_the_penalty_alone(name: str) -> None:
    rate, lam = 0.5, 0.1  # shrinks by a tenth
    keras.utils.set_random_seed(0)
    model = by_hand.randomise(small(name, lam))
    x = inputs(name, 2)
    before = [keras.ops.convert_to_numpy(weight.value).copy() for weight in model.trainable_weights]
    model.compile(
        keras.optimizers.SGD(rate), by_output(name, nothing), jit_compile=keras.backend.backend() == "jax"
    )
    y = keras.tree.map_structure(lambda part: np.zeros((2, *part.shape[1:]), "float32"), model.output)
    model.train_on_batch(x, y)
    shrunk = {id(kernel) for kernel in kernels(model)}
    assert shrunk
    for weight, was in zip(model.trainable_weights, before, strict=True):
        factor = 1 - 2 * rate * lam if id(weight) in shrunk else 1.0
        found = keras.ops.convert_to_numpy(weight.value)
        np.testing.assert_allclose(found, factor * was, rtol=1e-5, atol=1e-6, err_msg=weight.path)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=more_of_the_same(n in ("cnn", "resnet20", *FIRST))) for n in WHOLE]
)
def test_exported_files_of_the_zoo_answer_like_the_model(name: str, tmp_path: Path) -> None:
    from l2zoo import export

    model = small(name)
    model.compile("adam", "sparse_categorical_crossentropy")
    artifact = export(model, tmp_path / "artifact", sample=pixels(16))  # refuses what answers otherwise
    assert (artifact.folder / "model.tflite").exists()
    assert (artifact.folder / "saved_model/1").is_dir()
