"""The command that looks at the installation: versions, what is missing, and what for."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2zoo import __version__
from l2zoo.cli import options
from l2zoo.cli.models import print_json
from l2zoo.utils import packages
from l2zoo.utils.console import show

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# What each extra is for, in the order in which they are shown.
EXTRAS = {
    "detection": "l2zoo verify of detectors",
    "plots": "pictures, as by --save",
    "signing": "l2zoo sign, and --public-key",
    "onnx": "export to ONNX",
    "ray": "searches and comparisons on several workers",
    "serve": "l2zoo serve",
    "hub": "models of keras-hub",
    "photos": "photographs and faces of scikit-image",
    "jax": "the JAX backend",
    "torch": "the PyTorch backend",
}


def doctor(
    devices: Annotated[
        bool, typer.Option("--devices", help="Ask the backend for its devices, which takes seconds.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Show versions, the backend, and what is missing for what. Exits with 1 if l2zoo cannot work.

    Example: l2zoo doctor
    """
    found = look(devices=devices)
    if as_json:
        print_json(found)
    else:
        show(*_shown(found))
    if found["problems"]:
        raise typer.Exit(1)


def look(*, devices: bool = False) -> dict[str, Any]:
    """What the installation is, in plain values; nothing large is imported but for `devices`."""
    name, *others = packages.distributions() or [packages.WHOLE]
    base, by_extra = _requirements(name)
    wanted = {extra: _lacking(by_extra[extra]) for extra in EXTRAS if extra in by_extra}
    found: dict[str, Any] = {
        "l2zoo": __version__,
        "distribution": name,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "backend": _backend(),
        "packages": {one.name: _version(one.name) for one in base},
        "extras": {name: {"for": EXTRAS[name], "missing": lacking} for name, lacking in wanted.items()},
        "problems": [f"{name} needs {each}: pip install --upgrade {name}" for each in _lacking(base)],
    }
    for other in others:
        found["problems"].append(
            f"{name} and {other} are installed in the same place: pip uninstall {other}, then pip install "
            f"--force-reinstall --no-deps {name}"
        )
    if devices:
        found["devices"] = _devices()
    return found


def _shown(found: dict[str, Any]) -> list[Any]:
    from l2zoo.reports.table import Table

    head = (
        f"{found['distribution']} {found['l2zoo']}, Python {found['python']}, {found['system']}, "
        f"{found['cores']} cores\n"
        f"{_about_keras(found)}\n"
    )
    packages = Table.of(
        ["Package", "Version"], [[name, version or "missing"] for name, version in found["packages"].items()]
    )
    extras = Table.of(
        ["Extra", "For", "Missing"],
        [[name, row["for"], ", ".join(row["missing"]) or "-"] for name, row in found["extras"].items()],
    )
    lacking = [name for name, row in found["extras"].items() if row["missing"]]
    of = found["distribution"]
    install = [f'\nTo add one: pip install "{of}[{lacking[0]}]"'] if lacking else []
    seen = [f"\nDevices: {', '.join(found['devices'])}"] if "devices" in found else []
    problems = [f"\n! {problem}" for problem in found["problems"]]
    return [head, packages, "", extras, *install, *seen, *problems]


def _about_keras(found: dict[str, Any]) -> str:
    if found["distribution"] == packages.RUNTIME:
        return "It runs and checks TFLite files. To train, export and read data sets: pip install l2zoo"
    return f"Keras runs on {found['backend']}."


def _requirements(distribution: str) -> tuple[list[Requirement], dict[str, list[Requirement]]]:
    """What a distribution of l2zoo needs by itself, and what each of its extras needs."""
    from packaging.requirements import Requirement

    base, by_extra = [], dict[str, list[Requirement]]()
    for line in importlib.metadata.requires(distribution) or []:
        one = Requirement(line)
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            base.append(one)
            continue
        for extra in EXTRAS:
            if one.marker.evaluate({"extra": extra}):
                by_extra.setdefault(extra, []).append(one)
    return base, by_extra


def _lacking(wanted: Sequence[Requirement]) -> list[str]:
    """Of these requirements, those that are not met, each with what is there."""
    lacking = []
    for one in wanted:
        version = _version(one.name)
        if version is None:
            lacking.append(f"{one.name}{one.specifier}")
        elif not one.specifier.contains(version, prereleases=True):
            lacking.append(f"{one.name}{one.specifier}, has {version}")
    return lacking


def _version(package: str) -> str | None:
    """The version of a package; None if it is not installed. A TensorFlow of another build counts as one."""
    builds = ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos")
    for name in builds if package == "tensorflow" else (package,):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _backend() -> str:
    """The backend that Keras would take: of the environment, of its file, or TensorFlow."""
    if os.environ.get("KERAS_BACKEND"):
        return f"{os.environ['KERAS_BACKEND']} (KERAS_BACKEND)"
    from l2zoo.utils.storage.reading import read_object

    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    try:
        return f"{read_object(home)['backend']} ({home})"
    except (FileNotFoundError, ValueError, KeyError):
        return "tensorflow (its default)"


def _devices() -> list[str]:
    from l2zoo.utils.console import without_chatter

    with without_chatter():
        import keras

        return list(keras.distribution.list_devices())
