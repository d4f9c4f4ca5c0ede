"""What was compared with its checksum is what runs, whatever becomes of the files meanwhile and later."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import l2zoo
from l2zoo.artifacts import manifest
from tests.processes import output_of

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)


def answers(predictor):
    return np.stack([one.probabilities for one in predictor.predict(IMAGES)])


@pytest.fixture
def swap_after_check(monkeypatch):
    """Calls something when the checksums of a folder have been compared, and nothing is opened yet."""

    def arrange(change):
        compare = manifest.check_files

        def compare_and_change(folder, files):
            compare(folder, files)
            monkeypatch.setattr(manifest, "check_files", compare)
            change(folder)

        monkeypatch.setattr(manifest, "check_files", compare_and_change)

    return arrange


OPENERS = {
    "Predictor": ("model.tflite", lambda folder: l2zoo.Predictor(folder, trusted=True)),
    "load": ("model.keras", lambda folder: l2zoo.load(folder, trusted=True)),
    "verify": ("saved_model/1/saved_model.pb", lambda folder: l2zoo.verify(folder, trusted=True)),
    "weights": (
        "model.keras",
        lambda folder: l2zoo.build_cnn((8, 8, 1), num_classes=10, weights=str(folder)),
    ),
}


@pytest.mark.parametrize(("path", "opener"), OPENERS.values(), ids=OPENERS)
def test_a_file_that_is_swapped_between_checksum_and_opening_is_not_opened(
    folder, swap_after_check, path, opener
):
    swap_after_check(lambda folder: (folder / path).write_bytes(b"another"))
    with pytest.raises(ValueError, match=rf"is not what was written: {path} was changed"):
        opener(folder)


@pytest.mark.parametrize(("path", "opener"), OPENERS.values(), ids=OPENERS)
def test_links_and_pipes_that_take_the_place_of_a_file_are_neither_followed_nor_waited_for(
    folder, swap_after_check, path, opener, tmp_path
):
    def link(folder: Path) -> None:
        shutil.copy(folder / path, tmp_path / "away")
        (folder / path).unlink()
        (folder / path).symlink_to(tmp_path / "away")

    def pipe(folder: Path) -> None:
        (folder / path).unlink()
        os.mkfifo(folder / path)

    for change in (link, pipe):
        swap_after_check(change)
        with pytest.raises(ValueError, match="is no plain file"):
            opener(folder)
        (folder / path).unlink()
        shutil.copy(tmp_path / "away", folder / path)


def test_a_sample_that_is_swapped_after_the_checksum_is_not_read(folder, swap_after_check):
    swap_after_check(lambda folder: (folder / "sample.npz").write_bytes(b"another"))
    with pytest.raises(ValueError, match=r"sample\.npz was changed"):
        l2zoo.verify(folder)


def test_a_running_predictor_does_not_read_its_file_again(folder):
    predictor = l2zoo.Predictor(folder)
    before, path = answers(predictor), folder / "model.tflite"
    with path.open("r+b") as file:  # in place: who has mapped it would see it
        file.write(bytes(path.stat().st_size))
    np.testing.assert_array_equal(answers(predictor), before)
    shutil.rmtree(folder)
    np.testing.assert_array_equal(answers(predictor), before)


def test_a_file_that_is_cut_short_does_not_end_the_process(folder):
    code = (
        "import os, sys, numpy as np, l2zoo\n"
        "predictor = l2zoo.Predictor(sys.argv[1], trusted=True)\n"
        "first = predictor.predict(np.full((8, 8, 1), 99, np.uint8))[0].probabilities\n"
        "os.truncate(sys.argv[1] + '/model.tflite', 0)\n"
        "print((predictor.predict(np.full((8, 8, 1), 99, np.uint8))[0].probabilities == first).all())\n"
    )
    assert output_of([sys.executable, "-c", code, folder]).strip() == "True"


def test_a_copy_of_ours_is_nobody_else_s_and_gone_afterwards(folder):
    from l2zoo.artifacts.trust import open_whole

    with open_whole(folder) as whole, whole.private_copy(["model.keras", "saved_model/1"]) as copy:
        assert copy.stat().st_mode & 0o777 == 0o700
        there = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
        assert "model.keras" in there
        assert {name.split("/")[0] for name in there} == {"model.keras", "saved_model"}
        assert all((copy / name).read_bytes() == (folder / name).read_bytes() for name in there)
    assert not copy.exists()
