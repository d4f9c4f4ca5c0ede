"""TensorBoard shows the numbers of the records: read from its files, and asked of the real server."""

from __future__ import annotations

import json
import math
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from l2zoo.engine.record import Record, Unit
from l2zoo.search.tensorboard import write
from tests.processes import running, until
from tests.search import pictured


def searched() -> list[Record]:
    """Two strengths, two folds, a hyperparameter of every kind, a rung, and a failure."""
    others = (("activation", "relu"), ("bias", True), ("rate", 1e-3), ("units", 64))
    units = [Unit(s, fold, 3, others) for s in (0.0, 10**-4.5) for fold in range(2)]
    units.append(Unit(0.1, 0, 3, others, end=2))
    return [*(pictured.record(unit, epochs=5) for unit in units), pictured.failed(Unit(0.1, 1, 3, others))]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A TensorBoard that shows `searched()`, on a port that it chose; gives its address."""
    folder = write(searched(), folder=tmp_path_factory.mktemp("board") / "search", metric="val_accuracy")
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--load_fast=false"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with running([*command, "--host", "127.0.0.1", "--port", "0"], env=environment) as process:
        yield process.line(r"at (http://127\.0\.0\.1:\d+)/")[1]


def asked(url: str, content: dict[str, Any] | None = None) -> Any:
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, data, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        error.close()
        return None  # not loaded yet


@pytest.fixture(scope="module")
def groups(server: str) -> dict[tuple[float, int], dict[str, Any]]:
    """What the HParams tab shows, by strength and fold."""
    columns: list[dict[str, Any]] = [
        {"hparam": name} for name in ("l2", "activation", "bias", "rate", "units", "fold", "seed")
    ]
    columns += [{"metric": {"tag": t}} for t in ("val_accuracy", "epochs", "penalty", "weight_norm")]
    states = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    content = {"allowedStatuses": states, "colParams": columns, "startIndex": 0, "sliceSize": 100}

    def all_there() -> list[dict[str, Any]] | None:
        answer = asked(f"{server}/data/plugin/hparams/session_groups", content)
        found = (answer or {}).get("sessionGroups", [])
        whole = [g for g in found if g["sessions"][0]["status"] != "STATUS_RUNNING"]
        return found if len(whole) == len(searched()) else None

    found = until(all_there, what="load every run")
    return {(group["hparams"]["l2"], int(group["hparams"]["fold"])): group for group in found}


@pytest.mark.slow
def test_every_training_is_a_row_with_its_hyperparameters(groups: dict) -> None:
    for record in searched():
        unit = record.unit
        shown = groups[unit.strength, unit.fold]["hparams"]
        assert shown == {"l2": unit.strength, "fold": unit.fold, "seed": 3, **dict(unit.others)}


@pytest.mark.slow
def test_the_columns_of_measures_hold_the_records_numbers(groups: dict) -> None:
    for record in searched():
        group = groups[record.unit.strength, record.unit.fold]
        shown = {row["name"]["tag"]: row["value"] for row in group.get("metricValues", [])}
        names = ("epochs", "penalty", "weight_norm")
        expected = {"val_accuracy": record.score, **{name: getattr(record, name) for name in names}}
        assert shown == pytest.approx({k: v for k, v in expected.items() if v is not None}, rel=1e-6)
        status = "STATUS_SUCCESS" if record.status == "done" else "STATUS_FAILURE"
        assert group["sessions"][0]["status"] == status


@pytest.mark.slow
def test_the_experiment_knows_its_columns(server: str, groups: dict) -> None:
    experiment = asked(f"{server}/data/plugin/hparams/experiment", {})
    kinds = {info["name"]: info["type"] for info in experiment["hparamInfos"]}
    assert kinds == {
        "l2": "DATA_TYPE_FLOAT64",
        "activation": "DATA_TYPE_STRING",
        "bias": "DATA_TYPE_BOOL",
        "rate": "DATA_TYPE_FLOAT64",
        "units": "DATA_TYPE_FLOAT64",
        "fold": "DATA_TYPE_FLOAT64",
        "seed": "DATA_TYPE_FLOAT64",
    }
    tags = [info["name"]["tag"] for info in experiment["metricInfos"]]
    assert tags == ["val_accuracy", "epochs", "penalty", "weight_norm"]


@pytest.mark.slow
def test_the_curves_are_those_of_the_records(server: str, groups: dict) -> None:
    for record in searched():
        run = groups[record.unit.strength, record.unit.fold]["sessions"][0]["name"]
        for name, values in record.curves.items():
            query = urllib.parse.urlencode({"run": run, "tag": f"epoch_{name}"})
            points = asked(f"{server}/data/plugin/scalars/scalars?{query}")
            assert [step for _, step, _ in points] == list(range(len(values)))
            assert [value for _, _, value in points] == pytest.approx(values, rel=1e-6)


def test_a_run_holds_the_numbers_of_its_record(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata
    from tensorboard.util.tensor_util import make_ndarray

    records = searched()
    folder = write(records, folder=tmp_path / "board", metric="val_accuracy")
    runs = sorted(path for path in folder.iterdir() if path.is_dir())
    assert len(runs) == len(records)
    done = sorted((r for r in records if r.curves), key=lambda r: (r.unit.strength, r.unit.fold))
    for path, record in zip(runs, done, strict=False):  # what failed has no numbers, and is the last
        run = EventAccumulator(str(path)).Reload()
        names = [name for name in run.Tags()["tensors"] if not name.startswith("_hparams_")]
        shown = {name: [make_ndarray(event.tensor_proto) for event in run.Tensors(name)] for name in names}
        measures = {"val_accuracy": record.score, "epochs": record.epochs, "penalty": record.penalty}
        expected = {f"epoch_{name}": values for name, values in record.curves.items()}
        expected |= {name: [value] for name, value in {**measures, "weight_norm": record.weight_norm}.items()}
        assert shown.keys() == expected.keys()
        for name, values in expected.items():
            assert shown[name] == pytest.approx(values, rel=1e-6)
        start = run.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        given = metadata.parse_session_start_info_plugin_data(start).hparams
        assert given["l2"].number_value == record.unit.strength
        assert (given["activation"].string_value, given["bias"].bool_value) == ("relu", True)


def test_a_second_write_replaces_the_first(tmp_path: Path) -> None:
    records = searched()
    write(records, folder=tmp_path / "new" / "board", metric="val_accuracy")
    folder = write(records[:1], folder=tmp_path / "new" / "board", metric="val_accuracy")
    runs = [path for path in folder.iterdir() if path.is_dir()]
    assert len(runs) == 1
    assert len(list(runs[0].iterdir())) == 1
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_of_somebody_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(ValueError, match="holds what was not written here and is not replaced, got folder="):
        write(searched(), folder=tmp_path, metric="val_accuracy")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_names_from_outside_stay_inside_the_folder(tmp_path: Path) -> None:
    units = [Unit(0.1, 0, 0, others=(("name", value),)) for value in ("../../up", "a/b", "..", "a b", 7)]
    records = [Record(unit, score=0.5, epochs=1, curves={"loss": [math.nan]}) for unit in units]
    folder = write(records, folder=tmp_path / "board", metric="score")
    assert len([path for path in folder.iterdir() if path.is_dir()]) == len(units)
    assert list(tmp_path.iterdir()) == [folder]
