"""The ledger loses nothing that it said was written, whatever happens to its writer."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2zoo.engine.ledger import Ledger, States
from l2zoo.engine.record import Record, Unit
from l2zoo.utils.storage.locks import exclusive

SETTINGS = {"strengths": [0.0, 1e-4], "folds": 5}


def record(strength: float = 1e-4, fold: int = 0, seed: int = 0, score: float = 0.9) -> Record:
    return Record(Unit(strength, fold, seed), score=score, seconds=1.5, epochs=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "search" / "ledger.jsonl"


def test_what_is_appended_is_there_when_opened_again(path: Path) -> None:
    first = Record(
        Unit(1e-4, 0, 1),
        score=0.9,
        seconds=2.5,
        epochs=2,
        curves={"data_loss": [1.5, 0.5], "val_accuracy": [0.8, 0.9]},
        weight_norm=3.25,
        penalty=0.125,
    )
    second = Record(Unit(0.1, 1, 1), status="failed", reason="the loss became NaN in epoch 3")
    ledger = Ledger(path, settings=SETTINGS)
    ledger.append(first)
    ledger.append(second)
    again = Ledger(path, settings=SETTINGS)
    assert again.records == [first, second] == ledger.records
    assert again.get(Unit(0.1, 1, 1)) == second
    assert again.get(Unit(0.1, 0, 1)) is None


def test_every_line_is_strict_json_and_the_first_holds_the_settings(path: Path) -> None:
    Ledger(path, settings=SETTINGS).append(
        Record(Unit(1e-4, 0, 0), score=1.0, curves={"loss": [math.nan, math.inf]}, penalty=-math.inf)
    )

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    header, line = (json.loads(text, parse_constant=refuse) for text in path.read_text().splitlines())
    assert header == {"format": "l2zoo-ledger", "version": 1, "settings": SETTINGS}
    assert (line["strength"], line["fold"], line["seed"], line["score"]) == (1e-4, 0, 0, 1.0)
    again = Ledger(path, settings=SETTINGS).records[0]
    assert math.isnan(again.curves["loss"][0])
    assert again.curves["loss"][1] == math.inf == -again.penalty


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(min_value=0, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_exactly(tmp_path: Path, strength: float, score: float) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", settings=SETTINGS, resume=False)
    ledger.append(record(strength, score=score))
    again = Ledger(tmp_path / "ledger.jsonl", settings=SETTINGS)
    assert again.get(Unit(strength, 0, 0)) == record(strength, score=score)
    for backup in tmp_path.glob("*.1"):
        backup.unlink()


def test_the_first_record_of_a_unit_counts(path: Path) -> None:
    ledger = Ledger(path, settings=SETTINGS)
    ledger.append(record(score=0.9))
    ledger.append(record(score=0.1))
    assert [r.score for r in Ledger(path, settings=SETTINGS).records] == [0.9]
    second = path.read_text().splitlines()[1]
    path.write_text(path.read_text() + second.replace("0.9", "0.2") + "\n")
    assert [r.score for r in Ledger(path, settings=SETTINGS).records] == [0.9]


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_a_torn_last_line_is_dropped_and_overwritten(path: Path, cut: int) -> None:
    ledger = Ledger(path, settings=SETTINGS)
    ledger.append(record(fold=0))
    ledger.append(record(fold=1))
    os.truncate(path, path.stat().st_size - cut)
    again = Ledger(path, settings=SETTINGS)
    assert [r.unit.fold for r in again.records] == [0]
    again.append(record(fold=2))
    assert [r.unit.fold for r in Ledger(path, settings=SETTINGS).records] == [0, 2]


@pytest.mark.parametrize("content", ["", '{"format": "l2zoo-led'])
def test_a_search_killed_while_it_wrote_its_settings_begins_again(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    Ledger(path, settings=SETTINGS).append(record())
    assert Ledger(path, settings=SETTINGS).records == [record()]


@pytest.mark.parametrize(
    "damage",
    [b"\0\0\0\0", b'{"strength": 1e-4}', b"\xff\xfe", b"[1, 2]", b'{"strength": -1, "fold": 0, "seed": 0}'],
)
def test_a_damaged_line_is_an_error_that_names_file_and_line(path: Path, damage: bytes) -> None:
    ledger = Ledger(path, settings=SETTINGS)
    for fold in range(3):
        ledger.append(record(fold=fold))
    lines = path.read_bytes().splitlines()
    lines[2] = damage
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(ValueError, match=rf"Line 3 of {re.escape(str(path))} cannot be read"):
        Ledger(path, settings=SETTINGS)


@pytest.mark.parametrize("content", ["strength,score\n0.1,0.9\n", "{}\n", "[]\n", '{"format": "other"}\n'])
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ValueError, match=r"Line 1 of .* cannot be read as a line of a ledger"):
        Ledger(path, settings=SETTINGS)
    assert path.read_text() == content


@pytest.mark.parametrize("content", ["mine", '{"mine": 1}', '{"format": "other"}', "\0" * 9])
def test_a_foreign_file_of_one_line_without_an_end_is_refused_and_left_alone(
    path: Path, content: str
) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ValueError, match=r"is no ledger of l2zoo's.* Choose another directory, or move"):
        Ledger(path, settings=SETTINGS)
    assert path.read_text() == content


@pytest.mark.parametrize("settings", ["null", "[]", "{", '{"folds": 1' + "0" * 400 + "}", '{"a": NaN}'])
def test_settings_that_are_none_are_an_error_that_names_the_line(path: Path, settings: str) -> None:
    path.parent.mkdir()
    path.write_text(f'{{"format": "l2zoo-ledger", "version": 1, "settings": {settings}}}\n')
    with pytest.raises(ValueError, match=r"Line 1 of .* cannot be read as a line of a ledger"):
        Ledger(path, settings=SETTINGS)


@pytest.mark.parametrize(
    ("name", "value"),
    [("score", "1" + "0" * 400), ("epochs", '"two"'), ("reason", "5"), ("curves", "[1]"), ("others", "[1]"),
     ("seconds", "[" * 100_000)],
)  # fmt: skip
def test_a_record_of_another_form_is_an_error_that_names_the_line(path: Path, name: str, value: str) -> None:
    Ledger(path, settings=SETTINGS).append(record())
    header, line = path.read_text().splitlines()
    known = json.loads(line)
    words = ", ".join(f'"{key}": {json.dumps(known[key])}' for key in known if key != name)
    path.write_text(f'{header}\n{{{words}, "{name}": {value}}}\n')
    with pytest.raises(ValueError, match=r"Line 2 of .* cannot be read as a line of a ledger"):
        Ledger(path, settings=SETTINGS)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + b"\0" * 18, None])
def test_a_state_that_is_lost_or_damaged_is_none(tmp_path: Path, content: bytes | None) -> None:
    states = States(tmp_path / "states")
    states.save(Unit(0.1, 0, 0), [np.ones(3)])
    (path,) = (tmp_path / "states").iterdir()
    if content is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content)
    assert not states.load(Unit(0.1, 0, 0))
    assert states.load(Unit(0.2, 0, 0)) is None


def test_a_finished_search_deletes_its_states_and_nothing_else(tmp_path: Path) -> None:
    states = States(tmp_path / "states")
    states.save(Unit(0.1, 0, 0), [np.ones(3)])
    (tmp_path / "states" / "mine.npz").write_text("mine")
    states.clear()
    assert [path.name for path in (tmp_path / "states").iterdir()] == ["mine.npz"]
    (tmp_path / "mine").mkdir()
    States(tmp_path / "mine").save(Unit(0.1, 0, 0), [np.ones(3)])
    (tmp_path / "link").symlink_to("mine")
    States(tmp_path / "link").clear()
    assert len(list((tmp_path / "mine").iterdir())) == 1


def test_a_ledger_of_another_version_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"format": "l2zoo-ledger", "version": 2, "settings": {}}\n')
    with pytest.raises(ValueError, match="has version 2; this l2zoo reads version 1"):
        Ledger(path, settings=SETTINGS)


def test_other_settings_are_refused_with_what_differs_and_the_next_step(path: Path) -> None:
    Ledger(path, settings={**SETTINGS, "data": "abc"}).append(record())
    with pytest.raises(ValueError, match="is the ledger of another search") as caught:
        Ledger(path, settings={"strengths": [0.0, 1e-4], "folds": 3, "metric": "loss"})
    message = str(caught.value)
    assert 'data is "abc" there and absent here' in message
    assert "folds is 5 there and 3 here" in message
    assert 'metric is absent there and "loss" here' in message
    assert "strengths" not in message
    assert "resume=False" in message
    assert "ledger.jsonl.1" in message


def test_the_order_of_settings_and_tuples_or_arrays_for_lists_make_no_difference(path: Path) -> None:
    Ledger(path, settings={"a": [0.5, 1.0], "b": {"x": 1, "y": 2}})
    Ledger(path, settings={"b": {"y": 2, "x": np.int64(1)}, "a": np.array([0.5, 1.0])})
    Ledger(path, settings={"b": {"y": 2, "x": 1}, "a": (0.5, 1.0)})


def test_settings_that_are_no_json_are_refused(path: Path) -> None:
    with pytest.raises(TypeError, match=r"`settings` must hold JSON values, got .* of type set"):
        Ledger(path, settings={"a": {1, 2}})
    assert not path.exists()


def test_starting_over_keeps_every_old_ledger(path: Path) -> None:
    for folds in (5, 3, 2):
        Ledger(path, settings={"folds": folds}, resume=False).append(record(fold=folds))
    assert [r.unit.fold for r in Ledger(path, settings={"folds": 2}).records] == [2]
    assert [r.unit.fold for r in Ledger(f"{path}.1", settings={"folds": 5}).records] == [5]
    assert [r.unit.fold for r in Ledger(f"{path}.2", settings={"folds": 3}).records] == [3]


def test_two_writers_share_a_ledger(path: Path) -> None:
    one, two = Ledger(path, settings=SETTINGS), Ledger(path, settings=SETTINGS)
    one.append(record(fold=0, score=0.5))
    two.append(record(fold=0, score=0.6))  # the first counts, also when another wrote it
    two.append(record(fold=1))
    one.append(record(fold=2))
    expected = [record(fold=0, score=0.5), record(fold=1), record(fold=2)]
    assert one.records == expected == Ledger(path, settings=SETTINGS).records


def test_a_writer_waits_for_another_and_leaves_no_lock_behind(path: Path) -> None:
    ledger = Ledger(path, settings=SETTINGS)
    writer = threading.Thread(target=ledger.append, args=[record()])
    with exclusive(path):
        writer.start()
        writer.join(timeout=0.2)
        assert path.read_text().count("\n") == 1
    writer.join()
    assert Ledger(path, settings=SETTINGS).records == [record()]
    assert list(path.parent.iterdir()) == [path]


def test_a_ledger_that_shrank_under_its_writer_is_an_error(path: Path) -> None:
    ledger = Ledger(path, settings=SETTINGS)
    ledger.append(record())
    Ledger(path, settings={}, resume=False)
    with pytest.raises(ValueError, match="became shorter while the search was writing"):
        ledger.append(record(fold=1))


@pytest.mark.skipif(sys.platform == "win32", reason="limits on the size of a file are a POSIX thing")
def test_a_full_disk_leaves_the_finished_trainings_readable(path: Path) -> None:
    import resource

    ledger = Ledger(path, settings=SETTINGS)
    ledger.append(record(fold=0))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel writes the first 30 bytes of the line and refuses the rest, as on a disk that fills up.
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 30, hard))
    try:
        with pytest.raises(
            OSError, match=r"could not be recorded\. The 1 recorded before it are safe"
        ) as caught:
            ledger.append(record(fold=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(path)
    assert path.read_bytes().endswith(b"\n")
    assert Ledger(path, settings=SETTINGS).records == [record(fold=0)]
    ledger.append(record(fold=1))
    assert Ledger(path, settings=SETTINGS).records == [record(fold=0), record(fold=1)]


WRITER = """
import sys
from l2zoo.engine.ledger import Ledger
from l2zoo.engine.record import Record, Unit
ledger = Ledger(sys.argv[1], settings={})
print("ready", flush=True)
for fold in range(10**6):
    ledger.append(Record(Unit(1e-4, fold, 0), score=0.5, curves={"loss": [0.25] * 5000}))
    print(fold, flush=True)
"""


def test_what_was_acknowledged_before_a_kill_is_there_after_it(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        acknowledged = [next(writer.stdout) for _ in range(21)][1:]
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.stdout.readlines()
    folds = [r.unit.fold for r in Ledger(path, settings={}).records]
    assert folds == list(range(len(folds)))
    assert len(acknowledged) <= len(folds) <= len(acknowledged) + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": math.nan}, "needs a finite score, got score=nan"),
        ({"score": None}, "needs a finite score, got score=None"),
        ({"status": "failed"}, "'failed' needs a reason and no score"),
        ({"status": "failed", "score": None}, "'failed' needs a reason and no score"),
        ({"status": "running"}, "`status` must be 'done' or 'failed', got status='running'"),
    ],
)
def test_a_record_says_either_a_score_or_why_there_is_none(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(record(), **change)


@pytest.mark.parametrize("strength", [-1e-4, math.nan, math.inf])
def test_a_unit_has_a_strength_that_a_policy_can_have(strength: float) -> None:
    with pytest.raises(ValueError, match="`strength` must be a finite number >= 0"):
        Unit(strength, 0, 0)


def test_a_unit_is_the_same_whatever_kind_of_number_it_was_made_of() -> None:
    assert Unit(np.float64(0.25), np.int64(1), np.uint8(2)) == Unit(0.25, 1, 2)
    assert hash(Unit(-0.0, 0, 0)) == hash(Unit(0, 0, 0))
    with pytest.raises(TypeError, match="float"):
        Unit(0.25, 1.5, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`fold` must be an integer >= 0, got fold=-1"):
        Unit(0.25, -1, 0)
