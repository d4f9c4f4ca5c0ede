"""Packages that are not there: what was asked for needs one, and which line installs it.

`l2zoo-runtime` is the same code with what running a file needs. The rest is imported where it is used, so
what is missing shows as an ImportError of a module; here that becomes a sentence with the next step.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping
from typing import Any

from l2zoo.utils.validation import no_attribute

FULL = {
    "h5py": "h5py",
    "jinja2": "Jinja",
    "keras": "Keras",
    "keras_tuner": "KerasTuner",
    "sklearn": "scikit-learn",
    "tensorboard": "TensorBoard",
    "tensorflow": "TensorFlow",
    "tensorflow_datasets": "TensorFlow Datasets",
    "threadpoolctl": "threadpoolctl",
}
"""Modules that `l2zoo` installs and `l2zoo-runtime` does not, with their names for people."""
WHOLE, RUNTIME = "l2zoo", "l2zoo-runtime"
"""The distributions that this package comes in; they lie in the same place."""
_ALONE = {"matplotlib": "Matplotlib", "scipy": "SciPy"}  # likewise, and useful beside `l2zoo-runtime` too


def public_value(package: str, name: str, home: Mapping[str, str]) -> Any:
    """A public name of a package that imports each when it is first used; from then on it is an attribute.

    Args:
        package: The package's own name.
        name: What is asked of it.
        home: Each public name's module.

    Raises:
        AttributeError: There is no such name; the one meant is suggested.
        ModuleNotFoundError: The module needs a package that is not installed.
    """
    if name not in home:
        raise no_attribute(package, name, home)
    value = getattr(importlib.import_module(home[name]), name)
    vars(sys.modules[package])[name] = value
    return value


def distributions() -> list[str]:
    """Which of the two are installed, the whole one first; both together are a mistake."""
    there = []
    for name in (WHOLE, RUNTIME):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version(name)
            there.append(name)
    return there


def is_installed(module: str) -> bool:
    """Whether a module could be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # None stands in the place of a module that must not be imported
        return False


def needed(module: str) -> str:
    """What to install for a module, in a sentence.

    Example:
        >>> needed("keras")
        'it needs Keras, which is not installed: pip install l2zoo'
        >>> needed("matplotlib")
        'it needs Matplotlib, which is not installed: pip install matplotlib'
    """
    name = FULL.get(module) or _ALONE[module]
    return f"it needs {name}, which is not installed: pip install {'l2zoo' if module in FULL else module}"


def require(module: str) -> None:
    """Raises ImportError, with what to install, if a module is not there: before work that ends in it."""
    if not is_installed(module):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def explain(error: ImportError) -> str:
    """The message of an ImportError, in which a module that `l2zoo` brings is said with what installs it."""
    module = (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and module in (FULL | _ALONE) and not is_installed(module):
        return f"This {needed(module).removeprefix('it ')}"
    return str(error)
