"""What an earlier run left is put aside whole, and comes back where nothing new was made."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path

import pytest

from l2zoo.utils.storage.earlier_run import OtherRunError, check_kind, fresh_start
from l2zoo.utils.storage.held_folder import hold_folder


def run_folder(folder: Path, trace: str = "ledger.jsonl") -> Path:
    """The folder of a run, in which somebody has left a note."""
    (folder / trace).parent.mkdir(parents=True)
    (folder / trace).write_text("ours")
    (folder / "note.txt").write_text("theirs")
    return folder


TRACES = (
    "ledger.jsonl",
    "experiment.json",
    "seed0/config.json",
    "references_0.1/reference_000.npz",
    "state.npz",
)


@pytest.mark.parametrize("trace", TRACES)
def test_a_run_is_put_aside_whole_under_the_next_free_number(tmp_path: Path, trace: str) -> None:
    for number in (1, 2):
        out = run_folder(tmp_path / "out", trace)
        with fresh_start(out, argument="out") as aside:
            assert aside == tmp_path / f"out.{number}"
            assert not out.exists()
            out.mkdir()
        assert (aside / trace).read_text() == "ours"
        assert (aside / "note.txt").read_text() == "theirs"
        out.rmdir()


def test_where_nothing_new_was_made_the_earlier_run_comes_back(tmp_path: Path) -> None:
    out = run_folder(tmp_path / "out")
    with pytest.raises(ValueError, match="refused"), fresh_start(out, argument="out"):
        raise ValueError("refused")
    assert (out / "ledger.jsonl").exists()
    with contextlib.suppress(KeyboardInterrupt), fresh_start(out, argument="out"):
        out.mkdir()  # something new is there
        raise KeyboardInterrupt
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.1"]


def test_what_is_no_run_s_is_not_moved(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    with fresh_start(folder, argument="out") as aside:  # empty
        assert aside is None
    (folder / "a.jpg").touch()
    with pytest.raises(ValueError, match=r"`out` must be the folder of an earlier run .*a\.jpg in it"):
        fresh_start(folder, argument="out").__enter__()
    (tmp_path / "runs").mkdir()
    run_folder(tmp_path / "runs/one")
    with pytest.raises(ValueError, match="must be the folder of an earlier run"):  # of several runs
        fresh_start(tmp_path / "runs", argument="out").__enter__()
    (tmp_path / "link").symlink_to(run_folder(tmp_path / "real"))
    with pytest.raises(ValueError, match="must be the folder of an earlier run"):
        fresh_start(tmp_path / "link", argument="out").__enter__()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "photos", "real", "runs"]


def test_a_run_that_goes_on_elsewhere_is_not_moved(tmp_path: Path) -> None:
    out = run_folder(tmp_path / "out")
    with (
        hold_folder(out, argument="directory"),
        pytest.raises(ValueError, match="belongs to another process"),
    ):
        fresh_start(out, argument="out").__enter__()
    assert (out / "ledger.jsonl").exists()


def test_a_report_is_not_put_in_the_place_of_another_kind_of_run_s(tmp_path: Path) -> None:
    out = run_folder(tmp_path / "out", "experiment.json")
    check_kind(out, "an experiment", argument="directory")
    check_kind(None, "an experiment", argument="directory")
    with pytest.raises(OtherRunError, match=r"`directory` holds an experiment, and this is a search.*remove"):
        check_kind(out, "a search or a comparison", argument="directory")


def test_the_error_comes_back_from_another_process_as_it_was() -> None:
    error = OtherRunError("It differs.", step="Go.")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.what) == (OtherRunError, "It differs. Go.", "It differs.")
