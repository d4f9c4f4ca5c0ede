"""Whoever writes into a folder for a while has it alone: others are refused before they write anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from l2zoo import L2Policy, L2Tuner, compare, experiment, fit, privacy_audit, tune_l2
from l2zoo.data import ImageData, load
from l2zoo.studies.compare.variants import Variant
from l2zoo.studies.experiment import Training
from l2zoo.tasks import Classification
from l2zoo.utils.storage.held_folder import hold_folder
from l2zoo.utils.storage.temporary import PREFIX, fresh_folder
from tests.search import small
from tests.studies.privacy import memory


def digits(split: str) -> ImageData:
    return load("l2zoo_digits", split, limit=40)


def build(l2: object) -> object:
    model = small.build(l2)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


WRITERS: dict[str, Callable[[Path], object]] = {
    "fit": lambda folder: fit(build(0.0), small.data(), epochs=1, run_dir=folder, verbose=0),
    "tune_l2": lambda folder: tune_l2(build, small.data(), strengths=[1e-3], directory=folder, verbose=False),
    "L2Tuner": lambda folder: L2Tuner(
        lambda hp: build(hp.Choice("l2", [0.0, 0.1])), "val_accuracy",
        directory=folder.parent, project_name=folder.name,
    ),
    "compare": lambda folder: compare(
        small.build, small.data(), [Variant("none"), Variant("L2", l2=0.1)], training=Training(epochs=1),
        directory=folder, verbose=False,
    ),
    "privacy_audit": lambda folder: privacy_audit(
        memory.untrained(), memory.MEMBERS, memory.OTHERS, build=memory.build, epochs=1, directory=folder,
        verbose=False,
    ),
    "experiment": lambda folder: experiment(
        lambda l2: L2Policy.of(l2).apply(small.build(0.0)), Classification(digits("train").class_names),
        digits("train"), digits("test"), training=Training(epochs=1), directory=folder, verbose=0,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "experiment" else ()) for name in WRITERS]
)
def test_a_second_writer_is_refused_and_told_who_writes(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with hold_folder(folder, argument="directory"):
        before = sorted(folder.rglob("*"))
        who = rf"belongs to another process now \(held by process {os.getpid()} on .* since 20.*\), got"
        with pytest.raises(ValueError, match=who):
            WRITERS[name](folder)
        assert sorted(folder.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


def test_a_search_does_not_delete_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "keras_tuner").mkdir()
    (tmp_path / "keras_tuner" / "__init__.py").write_text("mine")
    with pytest.raises(ValueError, match=r"holds keras_tuner, which a search would replace.*__init__\.py"):
        WRITERS["tune_l2"](tmp_path)
    assert (tmp_path / "keras_tuner" / "__init__.py").read_text() == "mine"


def test_who_takes_a_folder_sweeps_out_what_the_killed_left_and_nothing_else(tmp_path: Path) -> None:
    with fresh_folder(tmp_path, of="state.npz") as folder:
        (folder / "state.npz").write_bytes(b"half")
        folder.rename(tmp_path / f"{PREFIX}left")
        folder.mkdir()
    (tmp_path / f"{PREFIX}mine").mkdir()
    (tmp_path / f"{PREFIX}mine" / "state.npz").write_text("mine")
    with hold_folder(tmp_path, argument="run_dir"):
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [f"{PREFIX}mine"]


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_is_refused_in_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    for folder in (tmp_path, tmp_path / "out"):
        with (
            pytest.raises(PermissionError, match=r"`run_dir` cannot be written .Permission denied"),
            hold_folder(folder, argument="run_dir"),
        ):
            pass
    tmp_path.chmod(0o700)
