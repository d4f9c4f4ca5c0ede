"""Whatever is in a file that l2zoo reads: it is read, or there is a ValueError in a sentence, no other."""

from __future__ import annotations

import copy
import dataclasses
import functools
import io
import itertools
import json
import math
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2zoo import L2Policy, Strength
from l2zoo.artifacts import manifest, sample
from l2zoo.data.sources import coco, mask_folders
from l2zoo.data.splits import groups
from l2zoo.data.targets.mask_classes import read_names
from l2zoo.engine.ledger import Ledger, States
from l2zoo.engine.record import Record, Unit
from l2zoo.regularization import saved_penalty
from l2zoo.studies.privacy import reference_models
from l2zoo.training import snapshot
from l2zoo.training.run_folder import Recorder, RunFolder
from l2zoo.utils.storage.reading import parse_json, read_text

UNIT = Unit(1e-3, 0, 0, others=(("rate", 0.1),))
RECORD = Record(UNIT, score=0.5, curves={"loss": [1.0, math.nan]}, weight_norm=1.0, penalty=0.1, epochs=2)
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "height": 8, "width": 8}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3], "iscrowd": 0}],
    "categories": [{"id": 1, "name": "cat", "supercategory": "animal"}],
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file: how a good one is written, and what reads it."""

    write: Callable[[Path], Any]
    read: Callable[[Path], Any]


@functools.cache
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_regularizer="l2")])
    made.compile("adam", "mse")
    made.optimizer.build(made.trainable_variables)
    return L2Policy(Strength(0.5)).apply(made, replace=True)


def write_run(folder: Path) -> None:
    run = RunFolder(folder)
    run.open({"seed": 0, "rate": [0.1]}, {}, resume=True)
    run.start({})
    history = {"loss": [1.0, math.nan]}
    progress = {"epochs": 2, "history": history, "best": math.inf, "stopped": False}
    states = [("EarlyStopping", {"wait": 1, "best_weights": [np.ones(2)]})]
    snapshot.save(run.state, model(), progress=progress, callback_states=states)
    run.close()


def read_run(folder: Path) -> None:
    state = RunFolder(folder).open({"seed": 0, "rate": [0.1]}, {}, resume=True)
    if state is not None:
        Recorder(None, state, [])
        state.restore(model())


def read_state_of_unit(folder: Path) -> None:
    found = States(folder).load(UNIT)  # promises None where there is nothing to be read
    assert found is None or all(isinstance(part, np.ndarray) for part in found)


def write_sample(folder: Path) -> None:
    images = np.zeros((2, 4, 4, 1), np.uint8)
    sample.write(folder / sample.FILE, {"images": images}, {"output_0": np.zeros((2, 3), np.float32)})


def write_penalties(folder: Path) -> None:
    entries = [{"path": "dense/kernel", "shape": [3, 2], "l1": 0.0, "l2": 0.1}]
    (folder / saved_penalty.FILE).write_text(json.dumps({"format": 1, "weights": entries}))


def read_penalties(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of other weights are warned of
        saved_penalty._read(model(), str(folder))


KINDS = {
    "run": Kind(write_run, read_run),
    "ledger": Kind(
        lambda folder: Ledger(folder / "ledger.jsonl", settings={"folds": 2}).append(RECORD),
        lambda folder: Ledger(folder / "ledger.jsonl", settings={"folds": 2}),
    ),
    "state of a unit": Kind(
        lambda folder: States(folder).save(UNIT, [np.ones(3), np.zeros(())]), read_state_of_unit
    ),
    "reference model": Kind(
        lambda folder: np.savez(folder / "r.npz", phi=np.ones(4), identity="abc"),
        lambda folder: reference_models._read(folder / "r.npz", "abc", count=4),
    ),
    "sample": Kind(write_sample, lambda folder: sample.read(folder / sample.FILE)),
    "manifest": Kind(
        lambda folder: manifest.write(
            folder, {"format_version": manifest.VERSION, "name": "a", "task": None}
        ),
        manifest.read,
    ),
    "groups": Kind(
        lambda folder: (folder / "groups.csv").write_text('file,group\na.png,"1\n2"\nb.png,2\n'),
        lambda folder: groups._by_table(["a.png", "b.png"], folder / "groups.csv"),
    ),
    "class names": Kind(
        lambda folder: (folder / mask_folders.NAMES_FILE).write_text("0 road\n255 car\n"),
        lambda folder: read_names(read_text(folder / mask_folders.NAMES_FILE), file="classes.txt"),
    ),
    "coco": Kind(
        lambda folder: (folder / "coco.json").write_text(json.dumps(COCO)),
        lambda folder: coco._read.__wrapped__(folder / "coco.json", 0),
    ),
    "penalties": Kind(write_penalties, read_penalties),
}


def check(kind: Kind, folder: Path) -> None:
    """Reads; only a ValueError in a sentence may come of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as of boxes without area
        said = "nothing, as all was well"
        try:
            kind.read(folder)
        except ValueError as error:
            said = str(error)
    assert len(said) > 20


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "tfevents" not in path.name)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The files of each kind, by their names."""
    found = {}
    for name, kind in KINDS.items():
        folder = tmp_path_factory.mktemp("good")
        kind.write(folder)
        kind.read(folder)
        found[name] = {path.name: path.read_bytes() for path in files_in(folder)}
    return found


def put(folder: Path, files: dict[str, bytes], changed: str, content: bytes) -> None:
    for name, whole in files.items():
        (folder / name).write_bytes(content if name == changed else whole)


quickly = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@pytest.mark.parametrize("name", KINDS)
@quickly
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(name: str, data: Any, good: dict, tmp_path: Path) -> None:
    changed = data.draw(st.sampled_from(sorted(good[name])))
    content = bytearray(good[name][changed])
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(content) - 1))
        # Most structure of an archive is at its end, of a text at its beginning.
        position = data.draw(st.sampled_from([position, position % 40, len(content) - 1 - position % 200]))
        content[position % len(content)] = data.draw(st.integers(0, 255))
    put(tmp_path, good[name], changed, bytes(content))
    check(KINDS[name], tmp_path)


@pytest.mark.parametrize("name", ["state of a unit", "reference model"])
def test_every_byte_of_an_archive_may_be_another(name: str, good: dict, tmp_path: Path) -> None:
    for changed, content in good[name].items():
        for position in range(len(content)):
            other = bytearray(content)
            other[position] ^= (0x01, 0x08, 0xFF)[position % 3]
            put(tmp_path, good[name], changed, bytes(other))
            check(KINDS[name], tmp_path)


@pytest.mark.parametrize("name", KINDS)
def test_cut_and_foreign_files_are_read_or_refused(name: str, good: dict, tmp_path: Path) -> None:
    for changed, content in good[name].items():
        others = [
            b"",
            b"\0" * 64,
            b"[]",
            b"null\n",
            b"{}",
            b"[" * 100_000,
            b"9" * 5000,
            b"\xff\xfe",
            b"PK\x03\x04",
        ]
        for other in [*(content[: len(content) * part // 7] for part in range(1, 7)), *others]:
            put(tmp_path, good[name], changed, other)
            check(KINDS[name], tmp_path)


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of each value inside of a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def replaced(value: Any, path: tuple, other: Any) -> Any:
    if not path:
        return other
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = other
    return value


DEEP: Any = []
for _ in range(50):
    DEEP = [DEEP]
STRANGE = [
    None,
    True,
    -1,
    10**400,
    1e308,
    "x",
    [],
    {},
    [None],
    {"a": None},
    DEEP,
    math.nan,
    "\x1b[31m",
    [[1, 2], 3],
]


def texts(content: bytes) -> Iterator[tuple[Any, Callable[[Any], bytes]]]:
    """The JSON values in a file, each with what makes the file of another value."""
    if content.startswith(b"PK"):
        with np.load(io.BytesIO(content)) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if "about" in arrays:

            def pack(value: Any) -> bytes:
                return packed({**arrays, "about": np.frombuffer(json.dumps(value).encode(), np.uint8)})

            yield json.loads(arrays["about"].tobytes()), pack
        return
    lines = content.split(b"\n") if b"l2zoo-ledger" in content else [content]
    for number, line in enumerate(lines):
        if line.strip()[:1] == b"{":
            before, after = lines[:number], lines[number + 1 :]
            yield (
                json.loads(line),
                lambda value, b=before, a=after: b"\n".join([*b, json.dumps(value).encode(), *a]),
            )


def packed(arrays: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    "name", [name for name in KINDS if name not in ("groups", "class names", "manifest")]
)
def test_values_of_wrong_kinds_are_read_or_refused(name: str, good: dict, tmp_path: Path) -> None:
    for changed, content in good[name].items():
        for value, write in texts(content):
            paths = list(places(value))
            step = max(1, len(paths) * len(STRANGE) // 80)
            for path, other in itertools.islice(itertools.product(paths, STRANGE), 0, None, step):
                put(tmp_path, good[name], changed, write(replaced(value, path, other)))
                check(KINDS[name], tmp_path)


@pytest.mark.parametrize("name", ["run", "state of a unit", "reference model", "sample"])
def test_arrays_of_wrong_kinds_are_read_or_refused(name: str, good: dict, tmp_path: Path) -> None:
    strange = [
        np.array("text"), np.array([None]), np.zeros(3, "datetime64[s]"), np.zeros(2, [("a", "i4")]),
        np.zeros((0,)), np.zeros(5), np.array(1j), np.array(True), np.full(4, np.nan), np.zeros((2, 3), "V3"),
    ]  # fmt: skip
    for changed, content in good[name].items():
        if content.startswith(b"PK"):
            with np.load(io.BytesIO(content)) as archive:
                arrays = {each: archive[each] for each in archive.files}
            step = 3 if len(arrays) > 3 else 1  # prime to the number of the strange ones: each comes up
            for key, other in itertools.islice(itertools.product(arrays, strange), 0, None, step):
                put(tmp_path, good[name], changed, packed({**arrays, key: other}))
                check(KINDS[name], tmp_path)
                less = {each: array for each, array in arrays.items() if each != key}
                put(tmp_path, good[name], changed, packed(less))
                check(KINDS[name], tmp_path)


def test_a_header_that_promises_more_than_there_is_costs_no_memory(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 8)}
    )
    with zipfile.ZipFile(tmp_path / "r.npz", "w") as archive:
        archive.writestr("phi.npy", header.getvalue() + b"\0" * 64)
    with pytest.raises(ValueError, match=r"r\.npz cannot be read: "):
        reference_models._read(tmp_path / "r.npz", "abc", count=4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "recursion|nested"),
        ("1" + "0" * 400, r"1000.* is too large"),
        ("9" * 5000, r"9999.* is too large"),
        ("1e999", "1e999 is no finite number"),
        ("NaN", "NaN is no finite number"),
        (b"\xff", "can't decode byte"),
        ("", "Expecting value"),
    ],
)
def test_json_without_a_sound_value_is_one_kind_of_error(text: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"it cannot be read as JSON: .*({reason})"):
        parse_json(text, where="it")
