"""The command that does the main job: it chooses lambda, says whether L2 helps, and goes on after Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from tests.processes import L2ZOO, run, running, until

SMALL = ["--limit", 60, "--strengths", "1e-3,1e-2", "--folds", 3, "--epochs", 2, "--formats", "tflite"]


@pytest.mark.parametrize(
    ("data", "options", "status", "message"),
    [
        ("minst", [], 1, "mnist"),
        ("l2zoo_digits", ["--model", "cmm"], 1, "cnn"),
        ("l2zoo_digits", ["--formats", "tflight"], 1, "--formats must be out of"),
        ("l2zoo_digits", ["--strengths", "1e-3,-1"], 1, "a finite number >= 0, got --strengths -1.0"),
        ("l2zoo_digits", ["--strengths", "a,b"], 1, "--strengths must be numbers, as in 0,1e-4, got"),
        ("l2zoo_digits", ["--label-noise", "1.5"], 1, "must be in [0, 1), got --label-noise 1.5"),
        ("l2zoo_digits", ["--strategy", "annealing"], 1, "--strategy must be one of"),
        ("l2zoo_digits", ["--space", "depth"], 2, "must be one of lr"),
        ("l2zoo_digits", ["--folds", "x"], 2, "Invalid value for '--folds'"),
        ("l2zoo_digits", ["--foldz", "3"], 2, "No such option"),
    ],
)
def test_wrong_options_end_in_one_clear_message(
    l2zoo, tmp_path: Path, data: str, options, status: int, message: str
) -> None:
    answer = l2zoo("tune", data, *options, "--out", tmp_path / "out")
    assert (answer.status, answer.out) == (status, "")
    assert message in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.slow
def test_tune_stopped_by_ctrl_c_says_what_is_kept_and_goes_on_to_the_answer(tmp_path: Path) -> None:
    command = [L2ZOO, "tune", "l2zoo_digits", *SMALL, "--epochs", 12, "--label-noise", 0.2, "--out", "out"]
    ledger = tmp_path / "out/ledger.jsonl"
    with running(command, cwd=tmp_path) as process:  # long enough to be stopped in the middle
        until(
            lambda: ledger.exists() and ledger.read_text().count("\n") >= 3,
            what="finish two trainings",
            of=process,
        )
        process.send_signal(signal.SIGINT)
        stopped = process.outcome()
    assert stopped.returncode == 130
    assert re.search(r"What is finished is kept in .*out: the same command goes on", stopped.stderr)
    assert "Traceback" not in stopped.stderr
    done = run(command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # Nothing of TensorFlow's, as of a driver for GPUs that is not there.
    first, *others = done.stderr.splitlines()
    assert "of 9 trainings are finished already" in first
    assert all(line.startswith("[") and "/3] l2=" in line for line in others)
    assert ledger.read_text().count("\n") == 10
    for said in ("Strength", "L2", "6 kernels at", "\ntflite ", "Report: out/report.html"):
        assert said in done.stdout
    assert (tmp_path / "out/lambda.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((tmp_path / "out/artifact/manifest.json").read_text())
    assert manifest["metrics"]["test_accuracy"] >= 0
    assert set(manifest["formats"]) == {"keras", "tflite"}


@pytest.mark.slow
def test_tune_searches_the_learning_rate_too_and_answers_in_json(
    l2zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ["--strategy", "random", "--max-trials", 3, "--space", "lr", "--metric", "val_data_loss"]
    answer = l2zoo("tune", "l2zoo_digits", *SMALL, *settings, "--out", "out", "--json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    assert found["metric"] == "val_data_loss"
    assert set(found["values"]) == {"l2", "learning_rate"}
    assert found["verdict_in_words"]
    assert 0 <= found["test_accuracy"] <= 1
    for picture in ("lambda.png", "plane.png", "learning.png"):
        assert Path("out", picture).read_bytes().startswith(b"\x89PNG")
    assert "Does L2 help" in Path(found["files"]["report"]).read_text()
