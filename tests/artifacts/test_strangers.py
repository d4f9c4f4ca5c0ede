"""What nobody vouches for is opened elsewhere first: whatever it does there costs an error and no more."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import l2zoo
from l2zoo.artifacts import manifest, probe, signing, trust
from l2zoo.artifacts.formats import keras_file
from l2zoo.inference.benchmark import measure_latency
from l2zoo.utils.processes.bounded_process import BoundedProcess
from tests.artifacts.folders import rewrite
from tests.artifacts.test_bad_artifacts import MODEL, zipped

OPENERS = {
    "Predictor": l2zoo.Predictor,
    "load": l2zoo.load,
    "verify": l2zoo.verify,
    "bench": lambda folder, **options: measure_latency(folder, seconds=0.01, **options),
    "weights": lambda folder: l2zoo.build_cnn((8, 8, 1), num_classes=10, weights=str(folder)),
}


@pytest.fixture
def stranger(folder, monkeypatch):
    """An artifact that this process does not know, as one that was downloaded."""
    monkeypatch.setattr(trust, "_made", set())
    monkeypatch.setattr(probe, "_passed", set())
    return folder


@pytest.fixture
def runs(monkeypatch):
    """The functions that would run in a process of its own; they run here."""
    asked = []

    def run(function, *arguments, **_):
        asked.append(function.rpartition(":")[2])
        module, _, name = function.partition(":")
        return getattr(importlib.import_module(module), name)(*arguments)

    monkeypatch.setattr(probe, "run_bounded", run)
    return asked


HOSTILE = {
    "crash": r"The process of `\S+` died of SIGSEGV",
    "hang": r"`\S+` took longer than 0\.5 seconds, and was ended",
    "eat": r"`\S+` needed more than 300 MiB of memory",
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "words"), HOSTILE.items(), ids=HOSTILE)
def test_a_file_that_ends_hangs_or_fills_what_opens_it_costs_an_error(stranger, monkeypatch, kind, words):
    def bounded(_, *, modules, **bounds):
        bounds["seconds"] = 0.5 if kind == "hang" else 60
        return BoundedProcess(f"tests.artifacts.hostile:{kind}", **(bounds | {"memory": 300 * 2**20}))

    monkeypatch.setattr(probe, "BoundedProcess", bounded)
    for name in OPENERS if kind == "crash" else ("Predictor", "verify"):
        what = {"verify": "The artifact cannot be verified", "load": "model.keras", "weights": "model.keras"}
        begin = re.escape(what.get(name, "model.tflite cannot be opened"))
        with pytest.raises(ValueError, match=rf"^{begin}.*: it was tried in a process of its own\. {words}"):
            OPENERS[name](stranger)


def test_a_stranger_s_file_is_tried_once_and_answers_as_it_does(stranger, monkeypatch, trained):
    asked, run = [], probe.run_bounded
    monkeypatch.setattr(
        probe, "run_bounded", lambda *given, **how: asked.append(given[0]) or run(*given, **how)
    )
    image = trained.images[5]
    expected = trained.model.predict_on_batch(image[None].astype("float32"))[0]
    for _ in range(2):
        (found,) = l2zoo.Predictor(stranger).predict(image)
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    assert asked == ["l2zoo.artifacts.probe:run_tflite"]


def test_what_is_vouched_for_or_made_here_is_opened_at_once(folder, runs, stranger, written, monkeypatch):
    for name, opener in OPENERS.items():
        if name != "weights":
            opener(folder, trusted=True)
    assert runs == []
    trust.remember(manifest.read(written.folder)["files"])
    for opener in (l2zoo.Predictor, l2zoo.load, l2zoo.verify):
        opener(folder)
    assert runs == []
    monkeypatch.setattr(trust, "_made", set())
    monkeypatch.setattr("l2zoo.artifacts.store.locations.search_path", lambda: [folder.parent])
    l2zoo.Predictor(folder)
    assert runs == []


def test_files_of_others_beside_some_of_ours_are_strangers(folder, runs):
    """Bytes are trusted, not the folder or the manifest that names them."""
    flat = folder / "model.tflite"
    flat.write_bytes(flat.read_bytes() + b"\0")
    rewrite(folder)
    l2zoo.load(folder)
    assert runs == []
    l2zoo.Predictor(folder)
    l2zoo.verify(folder)
    assert runs == ["run_tflite", "compare_files"]


def test_trust_is_yes_or_no(folder):
    for opener in (l2zoo.Predictor, l2zoo.load, l2zoo.verify):
        with pytest.raises(TypeError, match=r"`trusted` must be True or False, got trusted='public\.pem'"):
            opener(folder, trusted="public.pem")


# ---- SavedModel --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("runs")
def test_a_stranger_s_savedmodel_is_not_opened(stranger, monkeypatch):
    import tensorflow as tf

    opened, load = [], tf.saved_model.load
    monkeypatch.setattr(tf.saved_model, "load", lambda path: opened.append(path) or load(path))
    found = l2zoo.verify(stranger)
    assert (opened, set(found.parity), found.left_out) == ([], {"keras", "tflite"}, ["savedmodel"])
    words = "savedmodel left out: it runs what is in it; trusted=True includes it."
    assert str(found).splitlines()[-1] == words
    found = l2zoo.verify(stranger, trusted=True)
    assert len(opened) == 1
    assert (set(found.parity), found.left_out) == ({"keras", "savedmodel", "tflite"}, [])
    assert words not in str(found)


def test_a_given_key_vouches_for_all_of_it_and_for_nothing_that_is_swapped_afterwards(
    stranger, runs, tmp_path, monkeypatch
):
    for name in signing._NEEDED:
        pytest.importorskip(name, exc_type=ImportError)
    names: dict = {}
    lines = re.findall(r"^    (\S.*)$", signing.__doc__.split("References")[0], re.MULTILINE)
    exec("\n".join(lines), names)
    keys = {kind: tmp_path / f"{kind}.pem" for kind in ("private", "public")}
    for kind, path in keys.items():
        path.write_bytes(names[kind])
    for opener in (l2zoo.Predictor, l2zoo.load, l2zoo.verify):
        with pytest.raises(FileNotFoundError, match="is not signed"):
            opener(stranger, public_key=keys["public"])
    signing.sign(stranger, keys["private"])
    assert l2zoo.verify(stranger, public_key=keys["public"]).left_out == []
    assert l2zoo.Predictor(stranger, public_key=keys["public"]).folder == stranger
    assert l2zoo.load(stranger, public_key=keys["public"]).name == "digits_cnn"
    assert runs == []
    check, checked = signing.check_signature, []

    def check_and_swap(folder: Path, key: Path) -> None:
        check(folder, key)
        if not checked:  # where it lies; then comes the copy
            other = shutil.copytree(folder, tmp_path / "other")
            (other / "model.tflite").write_bytes(b"evil")
            rewrite(other)
            shutil.copytree(other, folder, dirs_exist_ok=True)
        checked.append(folder)

    monkeypatch.setattr(signing, "check_signature", check_and_swap)
    with pytest.raises(ValueError, match="files were changed after it was signed"):  # read again, as replaced
        l2zoo.Predictor(stranger, public_key=keys["public"])


# ---- Keras files -------------------------------------------------------------------------------------------


def with_weights(path: Path, fill) -> None:
    """A zip as Keras's, whose weights file is what `fill` puts into it."""
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        fill(file)
    zipped(path, {**MODEL, "model.weights.h5": path.with_suffix(".h5").read_bytes()})


def bomb(file: h5py.File) -> None:
    file.create_dataset("zeros", (2**24,), "f4", chunks=(2**20,), compression="gzip", fillvalue=1)
    file["zeros"][:] = 0


def never_written(file: h5py.File) -> None:
    file.create_dataset("zeros", (2**40,), "f4", chunks=(2**10,))


def large_piece(file: h5py.File) -> None:
    file.create_dataset("zeros", (1,), "f4", maxshape=(None,), chunks=(2**24,), compression="gzip")


def linked_elsewhere(file: h5py.File) -> None:
    file.create_group("layers")["x"] = h5py.ExternalLink("/etc/other.h5", "/")


def stored_elsewhere(file: h5py.File) -> None:
    file.create_dataset("x", (4,), "f4", external=[("/etc/hostname", 0, 16)])


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (bomb, r"its [\d,]+ bytes would unpack to 67,108,\d+, which no model does"),
        (never_written, r"would unpack to 4,398,046,511,\d+, which no"),
        (large_piece, r"would unpack to 67,108,\d+, which no"),
        (linked_elsewhere, r"model\.weights\.h5 is no file of weights \('layers' has links"),
        (stored_elsewhere, r"model\.weights\.h5 is no file of weights \('x' lies in another file"),
        (None, r"model\.weights\.h5 is no file of weights \("),
    ],
)
def test_arrays_are_measured_as_what_they_unpack_to_before_keras_sees_them(
    tmp_path, monkeypatch, fill, words
):
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras opened it"))
    path = tmp_path / "model.keras"
    if fill is None:
        zipped(path, MODEL)
    else:
        with_weights(path, fill)
    assert path.stat().st_size < 200_000
    with pytest.raises(ValueError, match=rf"^model\.keras cannot be loaded: .*{words}"):
        keras_file.load_model(path, compiled=False)


def test_classes_that_this_process_alone_knows_are_loaded_here(stranger, runs):
    @keras.saving.register_keras_serializable("test_strangers")
    class Known(keras.layers.Layer):
        def call(self, x):
            return x

    inputs = keras.Input((8, 8, 1))
    keras.Model(inputs, Known()(inputs), name="known").save(stranger / "model.keras")
    rewrite(stranger)
    assert l2zoo.load(stranger).name == "known"
    keras.saving.get_custom_objects().pop("test_strangers>Known")
    with pytest.raises(ValueError, match=r"model\.keras cannot be loaded.*Register the classes"):
        l2zoo.load(stranger)
    assert runs == ["run_keras"]  # what came through is not tried again


@pytest.mark.slow
def test_strangers_that_do_no_harm_are_verified_and_loaded_in_a_process_of_its_own(stranger, trained):
    found = l2zoo.verify(stranger)
    assert (set(found.parity), found.left_out) == ({"keras", "tflite"}, ["savedmodel"])
    assert all(one.holds and one.images == 32 for one in found.parity.values())
    images = trained.images[:9]
    expected = trained.model.predict_on_batch(images)
    np.testing.assert_allclose(l2zoo.load(stranger).predict_on_batch(images), expected, atol=1e-6)


@pytest.mark.slow
def test_a_keras_file_whose_layers_would_fill_the_memory_costs_an_error(stranger):
    with zipfile.ZipFile(stranger / "model.keras") as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    config = json.loads(members["config.json"])
    (dense,) = (one for one in config["config"]["layers"] if one["class_name"] == "Dense")
    dense["config"]["units"] = 10**9  # times 16 inputs: 64 GB
    members["config.json"] = json.dumps(config).encode()
    zipped(stranger / "model.keras", members)
    rewrite(stranger)
    with pytest.raises(ValueError, match=r"^model\.keras cannot be loaded"):
        l2zoo.load(stranger)
