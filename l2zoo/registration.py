"""Makes `import l2zoo` enough for Keras to load what l2zoo saved, whichever of the two is imported first.

Keras finds a saved class only if it was registered, and registering needs Keras, which takes seconds to
import. So the registration waits until somebody imports Keras.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

REGISTERING = (
    "l2zoo.regularization.weight_decay",
    "l2zoo.models.frames",
    "l2zoo.tasks.detection.losses",
    "l2zoo.tasks.detection.final_boxes",
    "l2zoo.tasks.losses",
    "l2zoo.tasks.segmentation.overlap",
    "l2zoo.tasks.video.keras_rollout",
)


def register_when_keras_is_there() -> None:
    """Registers l2zoo's saved classes now if Keras is imported, else as soon as it has been."""
    if "keras" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _KerasFinder())


def _register() -> None:
    for module in REGISTERING:
        importlib.import_module(module)


class _KerasFinder:
    """Finds Keras as Python would, once, and registers behind its import."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: Any) -> None:
                execute(module)
                _register()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
