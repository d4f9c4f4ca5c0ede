"""Preparing is quiet, happens once, and survives company, a folder that cannot be written, and a kill."""

import contextlib
import os
import random
import subprocess
import sys
import time
import warnings

import pytest

from l2zoo.data import load
from l2zoo.data.builtin import prepare


def digits(root, split="test"):
    return load("l2zoo_digits", split, data_dir=root).arrays()


def test_preparing_prints_nothing_and_draws_no_random_numbers(tmp_path, tmp_path_factory, capfd):
    # TensorFlow's C++ notes the machine as it loads and a buffer's size at the first reading of a process.
    digits(tmp_path_factory.mktemp("first"))
    capfd.readouterr()
    random.seed(7)
    expected = random.Random(7).random()
    digits(tmp_path)
    assert random.random() == expected
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["l2zoo_digits"]


def test_what_is_prepared_is_only_read(tfds_root):
    files = {path: path.stat().st_mtime_ns for path in tfds_root.rglob("*")}
    digits(tfds_root)
    assert {path: path.stat().st_mtime_ns for path in tfds_root.rglob("*")} == files


def test_a_folder_that_cannot_be_written_falls_back_to_a_temporary_one(tmp_path):
    (tmp_path / "file").write_text("a file where a folder should be")
    text = (
        r"file.tfds cannot be written \(Not a directory\), so l2zoo_digits is prepared in a "
        r"temporary folder, .* set TFDS_DATA_DIR or pass `data_dir=`"
    )
    try:
        with pytest.warns(UserWarning, match=text):
            x, _ = digits(tmp_path / "file" / "tfds")
        assert len(x) == 360
    finally:
        prepare._temporary_root().cleanup()  # which waits for the end of the process
        prepare._temporary_root.cache_clear()


def test_a_read_only_folder_that_holds_the_digits_is_enough(tfds_root, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(prepare.tempfile, "mkdtemp", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        digits(tfds_root)


def test_what_a_killed_run_left_behind_is_no_obstacle(tmp_path):
    (tmp_path / "incomplete.l2zoo_digits.abc" / "l2zoo_digits").mkdir(parents=True)
    digits(tmp_path)


def test_a_folder_that_is_not_complete_is_named(tmp_path):
    broken = tmp_path / "l2zoo_digits" / "1.0.0"
    broken.mkdir(parents=True)
    (broken / "l2zoo_digits-train.tfrecord-00000-of-00001").write_bytes(b"")
    with pytest.raises(FileExistsError, match=r"1.0.0 is not a complete l2zoo_digits: remove it"):
        digits(tmp_path)


@pytest.mark.slow
def test_two_processes_that_prepare_at_the_same_moment_both_succeed(tmp_path):
    # The same seed in both: TFDS alone would then work in one and the same unfinished folder.
    code = (
        "import os, random, sys, time\n"
        "import tensorflow, sklearn.datasets, sklearn.model_selection\n"
        "from l2zoo.data import load\n"
        "from l2zoo.data.sources.tfds import import_tfds\n"
        "import_tfds()\n"
        "random.seed(0)\n"
        "open(sys.argv[2], 'w').close()\n"
        "while not os.path.exists(sys.argv[3]): time.sleep(0.001)\n"
        "data = load('l2zoo_digits', data_dir=sys.argv[1])\n"
        "print(data.num_examples, data.arrays()[1].sum())\n"
    )
    root, go = tmp_path / "tfds", tmp_path / "go"
    ready = [tmp_path / f"ready{i}" for i in range(2)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        both = []
        for mine in ready:
            command = [sys.executable, "-c", code, root, mine, go]
            both.append(stack.enter_context(subprocess.Popen(command, **pipes)))
            stack.callback(both[-1].kill)  # before it is waited for; no effect on one that has ended
        deadline = time.monotonic() + 300
        while not all(path.exists() for path in ready) and time.monotonic() < deadline:
            assert all(process.poll() is None for process in both), both[0].communicate()
            time.sleep(0.01)
        go.touch()
        outcomes = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outcomes
    assert outcomes[0][0] == outcomes[1][0]
    assert outcomes[0][0].startswith("1437 ")
    assert os.listdir(root) == ["l2zoo_digits"]
    assert os.listdir(root / "l2zoo_digits") == ["1.0.0"]
