"""A first look at the installation."""

from __future__ import annotations

import importlib.metadata
import json
import tomllib
from pathlib import Path

import numpy
import pytest

from l2zoo.cli import doctor
from l2zoo.cli.doctor import EXTRAS

PROJECT, RUNTIME = (
    tomllib.loads((Path(__file__).parents[2] / place / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    for place in (".", "runtime")
)


def test_versions_and_the_backend_are_shown(l2zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    answer = l2zoo("doctor")
    assert answer.status == 0
    assert f"numpy {numpy.__version__}" in " ".join(answer.out.split())
    assert "Keras runs on jax (KERAS_BACKEND)." in answer.out


def test_without_a_variable_the_backend_is_that_of_keras_s_file(l2zoo, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert "tensorflow (its default)" in l2zoo("doctor").out
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert json.loads(l2zoo("doctor", "--json").out)["backend"] == f"torch ({tmp_path / 'keras.json'})"


def test_every_extra_for_users_is_explained() -> None:
    both = PROJECT["optional-dependencies"] | RUNTIME["optional-dependencies"]
    assert EXTRAS.keys() == both.keys() - {"dev", "docs", "oracles"}


def test_two_distributions_in_one_place_are_a_problem(l2zoo, monkeypatch) -> None:
    without(monkeypatch, l2zoo_runtime="0.1.0")
    answer = l2zoo("doctor")
    assert answer.status == 1
    assert "! l2zoo and l2zoo-runtime are installed in the same place: pip uninstall" in answer.out


def without(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Some packages are not there, or are of these versions."""
    real = importlib.metadata.version

    def version(name: str) -> str:
        key = name.replace("-", "_")
        if key not in versions:
            return real(name)
        if versions[key] is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[key]

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_what_is_missing_for_an_extra_is_named_and_how_to_get_it(l2zoo, monkeypatch) -> None:
    without(monkeypatch, model_signing=None, onnx="1.0")
    answer = l2zoo("doctor", "--json")
    assert answer.status == 0
    extras = json.loads(answer.out)["extras"]
    assert any(lack.startswith("model-signing>=") for lack in extras["signing"]["missing"])
    assert any(lack.endswith(", has 1.0") for lack in extras["onnx"]["missing"])
    assert 'pip install "l2zoo[signing]"' in l2zoo("doctor").out


def test_without_what_it_needs_itself_it_says_so_and_fails(l2zoo, monkeypatch) -> None:
    without(monkeypatch, scipy=None, keras="3.0.0")
    answer = l2zoo("doctor")
    assert answer.status == 1
    assert "! l2zoo needs scipy>=" in answer.out
    assert "has 3.0.0" in answer.out


def test_another_build_of_tensorflow_counts(l2zoo, monkeypatch) -> None:
    without(monkeypatch, tensorflow=None, tensorflow_cpu="2.19.0")
    answer = l2zoo("doctor", "--json")
    assert json.loads(answer.out)["packages"]["tensorflow"] == "2.19.0"
    assert answer.status == 0


@pytest.mark.parametrize("content", ["", "[" * 100_000, "null", "{}", "\udcff"])
def test_a_damaged_file_of_keras_s_is_none(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keras.json").write_text(content, errors="surrogateescape")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert doctor._backend() == "tensorflow (its default)"
