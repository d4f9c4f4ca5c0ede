"""What holds for every model: of Keras's applications here, that L2 reaches every kernel and stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import by_hand
import keras
import numpy as np
import pytest

from l2zoo.auditing import audit
from l2zoo.policy import L2Policy

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
QUICK = tuple(name for name in THROUGH_A_FILE if name not in ("InceptionResNetV2", "NASNetMobile"))
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


@pytest.mark.usefixtures("free_memory")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in APPLICATIONS]
)
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
