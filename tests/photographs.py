"""Photographs that come with packages, with what ImageNet calls what is on them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

import numpy as np

# The first of these is what the weights of EfficientNet-Lite0 say in PyTorch, too.
SEEN: Mapping[str, tuple[str, ...]] = {
    "chelsea": ("Egyptian cat",),
    "coffee": ("espresso",),
    "rocket": ("missile", "projectile"),
    "astronaut": (),  # people are no class
    "china": ("palace",),
    "flower": ("daisy",),
}


def photographs() -> dict[str, np.ndarray]:
    """By name, `(H, W, 3)`, uint8: scikit-learn's, and scikit-image's where it is installed."""
    from sklearn.datasets import load_sample_image

    found = {name: load_sample_image(f"{name}.jpg") for name in ("china", "flower")}
    if importlib.util.find_spec("skimage") is not None:
        from skimage import data

        found |= {name: getattr(data, name)() for name in SEEN if name not in found}
    return found


def squares(images: Mapping[str, np.ndarray], size: tuple[int, int] = (224, 224)) -> np.ndarray:
    """What lies in the middle of each, `(N, *size, 3)`, float32 in [0, 255]."""
    from PIL import Image, ImageOps

    fitted = [ImageOps.fit(Image.fromarray(one), size[::-1]) for one in images.values()]
    return np.stack(fitted).astype("float32")
