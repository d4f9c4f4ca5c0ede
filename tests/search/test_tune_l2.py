from __future__ import annotations

import io
import json
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo import SearchResult, tune_l2
from l2zoo.engine.workers.local import InProcess
from l2zoo.search.tune_l2 import DEFAULT_STRENGTHS
from tests import processes
from tests.search import small

ROOT = Path(__file__).parents[2]
SETTINGS = {"folds": 3, "epochs": 2, "batch_size": 8, "verbose": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def result(folder):
    return tune_l2(
        small.build, small.data(), strengths=[1e-3, 1.0, 1e-1], seeds=2, directory=folder, **SETTINGS
    )


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def counting(runs: list) -> type:
    class Counting(InProcess):
        def wait(self):
            outcome = super().wait()
            runs.append(outcome[0].unit)
            return outcome

    return Counting


def test_the_default_grid_is_zero_and_eleven_half_decades():
    assert DEFAULT_STRENGTHS[0] == 0
    assert len(DEFAULT_STRENGTHS) == 12
    np.testing.assert_allclose(DEFAULT_STRENGTHS[1:], np.logspace(-6, -1, 11), rtol=2e-3)


def test_every_strength_is_trained_on_every_fold_and_seed_and_zero_always(result, folder):
    assert [c.strength for c in result.candidates] == [0.0, 1e-3, 1e-1, 1.0]
    assert [c.n for c in result.candidates] == [6, 6, 6, 6]
    units = {(r["strength"], r["fold"], r["seed"]) for r in lines(folder)[1:]}
    assert units == {(s, f, seed) for s in (0.0, 1e-3, 1e-1, 1.0) for f in range(3) for seed in range(2)}


def test_mean_and_standard_error_are_those_of_the_ledger(result, folder):
    for candidate in result.candidates:
        rows = [r for r in lines(folder)[1:] if r["strength"] == candidate.strength]
        scores = np.array([[r["score"] for r in rows if r["seed"] == seed] for seed in range(2)])
        assert candidate.mean == pytest.approx(np.mean(scores))
        assert candidate.standard_error == pytest.approx(np.sqrt(np.var(scores, axis=1, ddof=1).mean() / 3))


def test_best_and_one_se_are_glmnets(result):
    means = {c.strength: c.mean for c in result.candidates}
    errors = {c.strength: c.standard_error for c in result.candidates}
    top = max(means.values())
    assert result.best == max(s for s, mean in means.items() if mean == pytest.approx(top, abs=1e-12))
    assert result.one_se == max(s for s, mean in means.items() if mean >= top - errors[result.best] - 1e-12)
    assert result.chosen == result.best


def test_the_final_model_is_trained_at_the_chosen_strength(result):
    regularizers = [w.regularizer for w in result.model.trainable_weights]
    assert {float(r.l2) for r in regularizers if r is not None} == ({result.best} if result.best else set())


def test_the_verdict_and_the_edge_are_sentences(result):
    assert str(result.verdict).endswith(".")
    assert result.verdict.outcome in ("helps", "hurts", "unclear", "all equal")
    assert isinstance(result.edge, str)


def test_table_files_and_picture_are_written(result, folder, tmp_path):
    from rich.console import Console

    console = Console(width=120, file=io.StringIO())
    console.print(result.table())
    assert "best" in console.file.getvalue()
    assert json.loads((folder / "result.json").read_text())
    assert len((folder / "result.csv").read_text().splitlines()) == 5
    picture = result.plot(tmp_path / "lambda.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert result.to_dict()["chosen"] == result.chosen
    assert str(result.verdict) in (folder / "report.html").read_text()
    assert len(list((folder / "tensorboard").rglob("*tfevents*"))) >= 24
    assert result.plot(tmp_path / "learning.svg", kind="learning").exists()
    with pytest.raises(ValueError, match="`kind` must be one of"):
        result.plot(tmp_path / "pie.svg", kind="pie")


@pytest.mark.slow
def test_a_wider_grid_trains_what_is_new_and_the_same_call_nothing_but_the_final_model(
    result, folder, monkeypatch
):
    monkeypatch.setattr(SearchResult, "save", lambda self, directory: None)
    runs: list = []
    settings = {**SETTINGS, "seeds": 2, "directory": folder, "engine": counting(runs)}
    again = tune_l2(small.build, small.data(), strengths=[1e-3, 1.0, 1e-1], **settings)
    assert runs == []
    assert again.selection == result.selection
    for one, other in zip(again.model.get_weights(), result.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    wider = tune_l2(small.build, small.data(), strengths=[1e-3, 1e-2, 1.0, 1e-1], **settings)
    assert {unit.strength for unit in runs} == {1e-2}
    assert len(wider.candidates) == 5


def test_a_directory_of_another_search_is_refused_with_all_that_differs(result, folder):
    def wider_dropout(l2):
        model = small.build(l2)
        model.layers[5].rate = 0.5
        return model

    other = {**SETTINGS, "epochs": 3, "folds": 2, "directory": folder}
    with pytest.raises(ValueError, match="is the ledger of another search") as caught:
        tune_l2(wider_dropout, small.data(seed=1), **other)
    message = str(caught.value)
    for named in ("epochs is 2 there and 3 here", "folds is 3 there and 2 here", "data is", "layers is"):
        assert named in message
    assert "resume=False" in message


CHILD = """
import os, signal, sys
from l2zoo import tune_l2
from l2zoo.engine.workers.local import InProcess
from tests.search import small

moment, count = sys.argv[2], int(sys.argv[3])

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Mortal(InProcess):
    def wait(self):
        if moment == "before a training" and Mortal.left == 0:
            die()
        Mortal.left -= 1
        outcome = super().wait()
        if moment == "before it is written" and Mortal.left == 0:
            die()
        return outcome

Mortal.left = count
write = os.write

def torn(file, data):
    if moment == "in the middle of a line" and b'"score"' in data[:400]:
        torn.left -= 1
        if torn.left == 0:
            write(file, data[: len(data) // 2])
            die()
    return write(file, data)

torn.left = count
os.write = torn
tune_l2(small.build, small.data(), strengths=[1e-2, 1.0], directory=sys.argv[1], engine=Mortal,
        folds=3, epochs=2, batch_size=8, verbose=False)
"""


TWO = {**SETTINGS, "strengths": [1e-2, 1.0]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that nothing stopped."""
    return tune_l2(small.build, small.data(), directory=tmp_path_factory.mktemp("whole"), **TWO)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "count", "finished"),
    [
        pytest.param("before a training", 0, 0, marks=pytest.mark.sweep),
        pytest.param("before it is written", 4, 3, marks=pytest.mark.sweep),
        ("in the middle of a line", 6, 5),
    ],
)
def test_killed_at_any_moment_it_goes_on_and_ends_the_same(whole, moment, count, finished, tmp_path):
    child = processes.run([sys.executable, "-c", CHILD, tmp_path / "killed", moment, count], cwd=ROOT)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert (tmp_path / "killed/ledger.jsonl").read_text().count("\n") == 1 + finished

    runs: list = []
    killed = tmp_path / "killed"
    resumed = tune_l2(small.build, small.data(), directory=killed, engine=counting(runs), **TWO)
    assert len(runs) == 9 - finished
    for one, other in zip(resumed.candidates, whole.candidates, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-6)
        losses = [[r.curves["val_data_loss"] for r in c.done] for c in (one, other)]
        np.testing.assert_allclose(*losses, rtol=1e-5)
    assert str(resumed.verdict) == str(whole.verdict)


@pytest.mark.slow
def test_a_fold_that_diverges_is_recorded_and_the_search_goes_on():
    def build(l2):
        model = small.build(l2)
        model.compile(keras.optimizers.SGD(10.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    result = tune_l2(build, small.data(), strengths=[1e-3, 1e6], **SETTINGS)
    by_strength = {c.strength: c for c in result.candidates}
    assert len(by_strength[1e6].failed) == 3
    assert "became" in by_strength[1e6].failed[0].reason
    assert by_strength[0.0].n == 3
    assert result.best < 1e6


def test_an_error_in_the_builder_ends_the_search_as_it_is():
    calls = []

    def build(l2):
        calls.append(l2)
        if len(calls) > 1:
            raise RuntimeError("no second model")
        return small.build(l2)

    with pytest.raises(RuntimeError, match="no second model"):
        tune_l2(build, small.data(), strengths=[1e-3], seeds=[1], **SETTINGS)


X, Y = small.data(12)


@pytest.mark.parametrize(
    ("data", "changes", "error", "message"),
    [
        ((X, Y), {"strengths": []}, ValueError, "`strengths` must hold at least one number above 0"),
        ((X, Y), {"strengths": [-1.0]}, ValueError, "`strengths` must be a finite number >= 0"),
        ((X, Y), {"strengths": [float("nan")]}, ValueError, "`strengths` must be a finite number >= 0"),
        ((X, Y), {"folds": 1}, ValueError, "`folds` must be a whole number >= 2, got folds=1"),
        ((X, Y), {"folds": 5}, ValueError, "Every fold needs every class"),
        ((X, Y), {"seeds": 0}, ValueError, "`seeds` must be a whole number >= 1"),
        ((X, Y), {"seeds": [1, 1]}, ValueError, "different seeds"),
        ((X, Y), {"epochs": 0}, ValueError, "`epochs` must be a whole number >= 1"),
        ((X, Y), {"batch_size": 1.5}, TypeError, "`batch_size` must be a whole number"),
        ((X, Y), {"choose": "worst"}, ValueError, r"`choose` must be one of \['best', 'one_se'\]"),
        ("mnist", {}, TypeError, r"`data` must be an ImageData from l2zoo\.data\.load"),
        ((X, Y[:-1]), {}, ValueError, "same length"),
        ((X, Y.astype(str)), {}, TypeError, r"Turn names into numbers: np\.unique"),
        ((X, Y * np.nan), {}, ValueError, "`y` must be finite, but example 0 is not"),
        (
            (X, Y),
            {"folds": "five"},
            TypeError,
            "`folds` must be a number, a splitter of",
        ),
        ((X, Y), {"groups": Y[:-1]}, ValueError, "`groups` must say of each of the 12 examples"),
        ((X, Y, Y - 1), {}, ValueError, "`sample_weight` must hold finite weights of at least 0"),
        ((X, Y), {"class_weight": {0: 2.0}, "sample_weight": Y}, ValueError, "not both"),
        ((X.astype("float32") * np.nan, Y), {}, ValueError, "finite"),
    ],
)
def test_bad_input_is_refused_before_anything_is_built(data, changes, error, message):
    def never(l2):
        raise AssertionError("built")

    with pytest.raises(error, match=message):
        tune_l2(never, data, **{**SETTINGS, **changes})
