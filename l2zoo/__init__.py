"""l2zoo: Keras models in which L2 regularisation is one object.

The names below are imported when they are first used, so `import l2zoo` is instant and Keras
loads only when it is needed.
"""

from __future__ import annotations

from typing import Any

from l2zoo.registration import watch_imports
from l2zoo.utils.packages import explain, public_value

__version__ = "0.2.0"

# Public name -> the module that defines it. No module bears the name of a public function:
# importing it would put the module in the place of the function.
_HOME = {
    "L2Policy": "l2zoo.regularization.policy",
    "Strength": "l2zoo.regularization.strength",
    "L2Schedule": "l2zoo.regularization.schedule",
    "L2Monitor": "l2zoo.training.monitor",
    "audit": "l2zoo.regularization.audit",
    "privacy_audit": "l2zoo.studies.privacy",
    "convert": "l2zoo.regularization.convert",
    "build": "l2zoo.zoo",
    "list_models": "l2zoo.zoo",
    "build_cnn": "l2zoo.models.cnn",
    "build_resnet": "l2zoo.models.resnet",
    "build_efficientnet_lite": "l2zoo.models.efficientnet_lite",
    "build_detector": "l2zoo.models.detector",
    "build_diffusion": "l2zoo.models.diffusion",
    "build_unet": "l2zoo.models.unet",
    "build_video": "l2zoo.models.video",
    "fit": "l2zoo.training",
    "tune_l2": "l2zoo.search.tune_l2",
    "L2Tuner": "l2zoo.search.tuner",
    "SearchResult": "l2zoo.search.result",
    "experiment": "l2zoo.studies.experiment",
    "Training": "l2zoo.studies.experiment",
    "compare": "l2zoo.studies.compare.compare",
    "Variant": "l2zoo.studies.compare.variants",
    "export": "l2zoo.artifacts",
    "verify": "l2zoo.artifacts",
    "load": "l2zoo.artifacts",
    "Predictor": "l2zoo.inference",
    "Card": "l2zoo.artifacts",
    "Conversion": "l2zoo.artifacts",
    "Limits": "l2zoo.artifacts",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    try:
        return public_value(__name__, name, _HOME)
    except ModuleNotFoundError as error:  # of what was installed to run files alone
        raise ImportError(explain(error), name=error.name) from error


def __dir__() -> list[str]:
    return sorted(__all__)


watch_imports()
