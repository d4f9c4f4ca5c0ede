"""Whatever is wrong with an artifact is said in words, by all who open one, and before a file is opened."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import os
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import l2zoo
from l2zoo.artifacts import manifest, sample
from l2zoo.artifacts.formats import keras_file
from l2zoo.artifacts.formats.table import FORMATS
from tests.artifacts.folders import rewrite

# In this process: `test_strangers` has those that go by another one.
OPENERS: dict[str, Callable[[Path], Any]] = {
    "verify": lambda folder: str(l2zoo.verify(folder, trusted=True)),
    "load": lambda folder: l2zoo.load(folder, trusted=True),
    "Predictor": lambda folder: l2zoo.Predictor(folder, trusted=True).predict(
        np.full((8, 8, 1), 99, np.uint8)
    ),
}
every_opener = pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)


@contextlib.contextmanager
def damaged(path: Path, content: bytes) -> Iterator[None]:
    whole = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(whole)


@pytest.mark.usefixtures("nothing_opens")
def test_damage_at_64_places_of_all_kinds_of_files_is_found_before_one_is_opened(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    assert {path.suffix for path in files} >= {".keras", ".tflite", ".npz", ".json", ".md", ".pb"}
    choice = random.Random(0)
    for place in range(64):
        path = files[place % len(files)]
        whole = path.read_bytes()
        position = choice.randrange(len(whole))
        if place // len(files) % 2:
            content = whole[:position]
        else:
            flipped = bytes([whole[position] ^ 1 << choice.randrange(8)])
            content = whole[:position] + flipped + whole[position + 1 :]
        with damaged(path, content):
            for opener in OPENERS.values():
                with pytest.raises(ValueError, match=f"{path.name} (was changed|is damaged)"):
                    opener(folder)


@every_opener
@pytest.mark.usefixtures("nothing_opens")
def test_files_swapped_added_missing_and_linked_are_found(folder, opener, tmp_path):
    flat, model = folder / "model.tflite", folder / "model.keras"
    whole = flat.read_bytes()
    with damaged(flat, model.read_bytes()), pytest.raises(ValueError, match=r"model\.tflite was changed"):
        opener(folder)
    (folder / "more.py").write_text("raise SystemExit")
    with pytest.raises(ValueError, match=r"more\.py does not belong to it"):
        opener(folder)
    (folder / "more.py").unlink()
    flat.rename(tmp_path / "away")
    with pytest.raises(ValueError, match=r"model\.tflite is missing"):
        opener(folder)
    flat.symlink_to(tmp_path / "away")
    with pytest.raises(ValueError, match=r"plain files only, got 'model\.tflite'"):
        opener(folder)
    flat.unlink()
    os.mkfifo(flat)  # to read it would take forever
    with pytest.raises(ValueError, match=r"plain files only, got 'model\.tflite'"):
        opener(folder)
    flat.unlink()
    flat.write_bytes(whole)
    with (
        damaged(folder / "manifest.json", b"{}"),
        pytest.raises(ValueError, match=r"manifest\.json (was changed|is damaged)"),
    ):
        opener(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"with a manifest\.json in it"):
        opener(folder)


@every_opener
@pytest.mark.usefixtures("nothing_opens")
def test_a_path_that_climbs_out_of_the_folder_is_refused(folder, opener):
    content = manifest.read(folder)
    del content["sha256"]
    content["files"]["../away"] = {"bytes": 1, "sha256": ""}
    manifest.write(folder, content)
    with pytest.raises(ValueError, match="names paths outside its folder"):
        opener(folder)


LIES = (
    None,
    True,
    -1,
    1.5,
    10**400,
    "x",
    "../x",
    [],
    [None],
    [[]],
    {},
    {"x": None},
    {"shape": [1], "dtype": "x"},
)


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The way to every entry below a value of JSON."""
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in rows:
        yield (*path, key)
        yield from places(one, (*path, key))


def with_lie(content: dict, path: tuple, lie: Any) -> dict:
    """The content with another value at a place; without the entry where the lie is Ellipsis."""
    content = copy.deepcopy(content)
    inner: Any = content
    for key in path[:-1]:
        inner = inner[key]
    if lie is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = lie
    return content


def test_a_manifest_that_lies_anywhere_under_a_digest_that_fits_gives_clear_errors_only(folder, monkeypatch):
    """The files are whole; only the slow openers are replaced, by such as answer what is expected."""
    _, expected = sample.read(folder / sample.FILE)
    for name in ("keras", "savedmodel"):
        quick = dataclasses.replace(FORMATS[name], open=lambda path: (lambda inputs: expected, {}))
        monkeypatch.setitem(FORMATS, name, quick)
    monkeypatch.setattr(keras_file, "load_model", lambda path, **_: None)
    content = manifest.read(folder)
    del content["sha256"]
    choice = random.Random(1)
    every = [(path, lie) for path in places(content) for lie in (*LIES, ...)]
    top = [(path, lie) for path, lie in every if len(path) == 1]
    passed = dict.fromkeys(OPENERS, 0)
    tried = choice.sample(top, 60) + choice.sample(every, 60)
    for path, lie in tried:
        manifest.write(folder, with_lie(content, path, lie))
        for name, opener in OPENERS.items():
            try:
                opener(folder)
                passed[name] += 1
            except (ValueError, FileNotFoundError) as error:
                message = str(error)
                assert message[:1].isalpha() or message[0] in "`", (path, lie)  # ours
            except Exception as error:
                pytest.fail(f"{name} with {lie!r} at {path}: {error!r}")
    assert all(0 < many < len(tried) for many in passed.values()), passed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "`name` in the manifest must be a text, got None"),
        ({"class_names": "digits"}, "`class_names` in the manifest must be null or a list of texts"),
        ({"class_names": [3]}, r"`class_names` in the manifest must be null or a list of texts, got \[3\]"),
        ({"task": "painting"}, r"`task` in the manifest must be null or one of \['classification'"),
        ({"task": ["detection"]}, "`task` in the manifest must be null or one of"),
        (
            {"trained_on": "mnist"},
            "`trained_on` in the manifest must be what data were trained on, got 'mnist'",
        ),
        (
            {"trained_on": {"name": "mnist", "split": "train", "task": "x", "shape": [1]}},
            "`trained_on` in the",
        ),
        ({"inputs": {}}, "`inputs` in the manifest must be shape and dtype by name, got {}"),
        ({"inputs": {"images": {"shape": [None], "dtype": "object"}}}, "`inputs` in the manifest must be"),
        ({"outputs": {"x": {"shape": [None, "3"], "dtype": "float32"}}}, "`outputs` in the manifest must be"),
    ],
)
@every_opener
@pytest.mark.usefixtures("nothing_opens")
def test_what_a_manifest_claims_is_looked_at_before_it_is_used(folder, opener, changes, words):
    rewrite(folder, **changes)
    with pytest.raises(ValueError, match=words):
        opener(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"class_names": ["a", "b"]}, "The manifest names 2 classes of 10"),
        ({"class_names": None, "task": None}, r"does not say what its model is for.*Card\(task="),
        ({"task": "detection"}, "is for detection, but its shapes are those of another"),
        ({"task": "video"}, "is for video, but its shapes are those of another"),
        ({"inputs": {"images": {"shape": [None, 16, 16, 1], "dtype": "float32"}}}, r"must take .*it takes"),
        ({"inputs": {"images": {"shape": [None, 8, 8, None], "dtype": "float32"}}}, "those of another"),
        ({"inputs": {"pictures": {"shape": [None, 8, 8, 1], "dtype": "float32"}}}, r"must take .*it takes"),
        (
            {"outputs": {"x": {"shape": [None, 10], "dtype": "float32", "kind": "logits"}}},
            r"give \['x'\], .*gives \['output_0'\]",
        ),
        ({"formats": {"keras": {}}}, r"has no TFLite file to run, it has \['keras'\].*`l2zoo.load`"),
        ({"formats": {"coreml": {}}}, r"knows the formats .*, the artifact has \['coreml'\]"),
    ],
)
def test_a_predictor_does_not_run_what_its_manifest_lies_about(folder, changes, words):
    rewrite(folder, **changes)
    with pytest.raises(ValueError, match=words):
        OPENERS["Predictor"](folder)


def test_an_answer_of_another_shape_than_said_is_refused(folder):
    nine = {"shape": [None, 9], "dtype": "float32", "kind": "probabilities"}
    rewrite(folder, outputs={"output_0": nine}, class_names=list("012345678"))
    with pytest.raises(ValueError, match=r"must answer 'output_0' with finite numbers of shape \[9\]"):
        OPENERS["Predictor"](folder)


def test_an_hdf5_file_where_a_keras_file_is_wanted_says_how_to_write_one(tmp_path):
    import keras

    from l2zoo.artifacts.formats import keras_file

    path = tmp_path / "old.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    words = r"old\.h5 is an HDF5 file.* keras\.saving\.load_model\('old\.h5'\)\.save\('old\.keras'\)"
    for compiled in (True, False):
        with pytest.raises(ValueError, match=words):
            keras_file.load_model(path, compiled=compiled)


@pytest.mark.parametrize("content", [b"", bytes(100), b"\x1c\0\0\0TFL3" + bytes(range(256))], ids=len)
def test_a_file_that_is_no_tflite_under_a_digest_that_fits_is_a_clear_error(folder, content):
    (folder / "model.tflite").write_bytes(content)
    rewrite(folder)
    for name in ("verify", "Predictor"):
        with pytest.raises(ValueError, match=r"model\.tflite cannot be opened"):
            OPENERS[name](folder)


def test_a_graph_that_is_none_under_a_digest_that_fits_is_a_clear_error(folder):
    (folder / "saved_model" / "1" / "saved_model.pb").write_bytes(b"nonsense")
    rewrite(folder)
    with pytest.raises(ValueError, match=r"saved_model/1 cannot be opened"):
        OPENERS["verify"](folder)


def test_a_sample_of_other_inputs_is_a_clear_error(folder):
    inputs, expected = sample.read(folder / sample.FILE)
    sample.write(folder / sample.FILE, {"pictures": inputs["images"]}, expected)
    rewrite(folder)
    with pytest.raises(ValueError, match=r"sample\.npz must hold the inputs of manifest\.json"):
        OPENERS["verify"](folder)
    sample.write(folder / sample.FILE, inputs, {"output_0": np.full(len(inputs["images"]), "x")})
    rewrite(folder)
    with pytest.raises(ValueError, match=r"sample\.npz is not the sample .* something else than numbers"):
        OPENERS["verify"](folder)


# ---- The zip of Keras --------------------------------------------------------------------------------------


def zipped(path, members, **settings):
    with zipfile.ZipFile(path, "w", **settings) as packed:
        for name, content in members.items():
            packed.writestr(name, content)


MODEL = {"metadata.json": "{}", "config.json": "{}", "model.weights.h5": b"weights"}


@pytest.mark.parametrize("name", ["verify", "load"])
def test_a_small_file_that_unpacks_to_a_large_one_is_not_given_to_keras(folder, name, monkeypatch):
    import keras

    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras opened it"))
    bomb = {**MODEL, "model.weights.h5": bytes(keras_file.UNSUSPECTED + 1)}
    zipped(folder / "model.keras", bomb, compression=zipfile.ZIP_DEFLATED)
    assert (folder / "model.keras").stat().st_size < 20_000
    rewrite(folder)
    with pytest.raises(
        ValueError, match=r"model\.keras cannot be loaded: its [\d,]+ bytes would unpack to 16,777"
    ):
        OPENERS[name](folder)


def test_one_that_would_fill_the_disk_is_refused_whatever_its_ratio(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_file, "LARGEST", 5)
    zipped(tmp_path / "model.keras", MODEL)
    with pytest.raises(ValueError, match="which no model does"):
        keras_file.check_archive(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"config.json": "{}"}, r"it is no Keras file, it holds \['config.json'\]"),
        ({**MODEL, "../../evil.py": "x"}, r"no such names as \['\.\./\.\./evil\.py'\]"),
        ({**MODEL, "/evil.py": "x"}, r"no such names as \['/evil\.py'\]"),
        ({**MODEL, "assets\\..\\..\\evil": "x"}, "no such names as"),
        ({**MODEL, "c:evil": "x"}, "no such names as"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, members, words):
    zipped(tmp_path / "model.keras", members)
    with pytest.raises(ValueError, match=words):
        keras_file.check_archive(tmp_path / "model.keras")


@pytest.mark.parametrize("content", [b"", b"PK nonsense", b"PK\5\6" + bytes(18)])
def test_what_is_no_zip_is_a_clear_error(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.keras cannot be loaded: it is no Keras file"):
        keras_file.check_archive(tmp_path / "model.keras")


def test_a_real_file_of_keras_passes(written):
    keras_file.check_archive(written.folder / "model.keras")
    assert json.loads(zipfile.ZipFile(written.folder / "model.keras").read("metadata.json"))["keras_version"]
