"""What happens when Keras and TensorFlow are imported after l2zoo: `import l2zoo` itself imports neither.

Keras finds a saved class only if it was registered, and registering needs Keras, which takes seconds to
import. So the registration waits until somebody imports Keras. TensorFlow's C++ writes notes about the
machine as it loads, which concern nobody who asked for a model.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

REGISTERING = (
    "l2zoo.regularization.saved_penalty",
    "l2zoo.regularization.weight_decay",
    "l2zoo.models.frames",
    "l2zoo.tasks.detection.losses",
    "l2zoo.tasks.detection.final_boxes",
    "l2zoo.tasks.losses",
    "l2zoo.tasks.segmentation.training_metrics",
    "l2zoo.tasks.video.keras_rollout",
)

Execute = Callable[[ModuleType], None]
Load = Callable[[Execute, ModuleType], None]


def watch_imports() -> None:
    """Makes l2zoo enough for Keras to load what it saved, and TensorFlow silent while it loads.

    Where Keras is there already, the classes are registered at once.
    """
    if "keras" in sys.modules:
        _register()
    waiting = {name: load for name, load in _LOADS.items() if name not in sys.modules}
    if waiting:
        sys.meta_path.insert(0, _Finder(waiting))


def _register() -> None:
    for module in REGISTERING:
        importlib.import_module(module)


def _load_keras(execute: Execute, module: ModuleType) -> None:
    execute(module)
    _register()


def _load_tensorflow(execute: Execute, module: ModuleType) -> None:
    from l2zoo.utils.console import without_chatter

    with without_chatter():
        execute(module)


_LOADS: dict[str, Load] = {"keras": _load_keras, "tensorflow": _load_tensorflow}


class _Finder:
    """Finds some packages as Python would, and hands their loading over, until all are loaded."""

    def __init__(self, waiting: dict[str, Load]):
        self._waiting = waiting

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in self._waiting:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = partial(self._load, name, execute)  # type: ignore[method-assign]
        return spec  # of which nothing may come: some only ask whether a package is installed

    def _load(self, name: str, execute: Execute, module: ModuleType) -> None:
        load = self._waiting.pop(name)
        if not self._waiting:
            sys.meta_path.remove(self)
        load(execute, module)
