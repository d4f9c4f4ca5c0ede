"""`load` gives the Keras model back, from a folder or by name, and never runs code from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import l2zoo
from l2zoo.artifacts import manifest
from l2zoo.artifacts.store import locations
from tests.artifacts.folders import rewrite


def test_the_loaded_model_answers_and_goes_on_training_as_it_was(written, trained):
    model = l2zoo.load(written.folder)
    images = trained.images[:40]
    np.testing.assert_allclose(
        model.predict_on_batch(images), trained.model.predict_on_batch(images), atol=1e-6
    )
    assert sum(map(float, model.losses)) == pytest.approx(sum(map(float, trained.model.losses)))
    assert int(model.optimizer.iterations) == int(trained.model.optimizer.iterations) > 0


def test_a_saved_model_is_loaded_by_its_name(written, tmp_path, monkeypatch):
    shutil.copytree(written.folder, tmp_path / "digits")
    (tmp_path / "no_artifact").mkdir()
    monkeypatch.setattr(locations, "search_path", lambda: [tmp_path])
    assert l2zoo.load("digits").name == "digits_cnn"
    assert l2zoo.Predictor("digits").task == "classification"
    with pytest.raises(
        FileNotFoundError, match=r"name_or_folder='digit'\. Saved models like it: \['digits'\]"
    ):
        l2zoo.load("digit")
    with pytest.raises(FileNotFoundError, match=r"The saved models: \['digits'\]"):
        l2zoo.load("something else")
    monkeypatch.setattr(locations, "search_path", list)
    with pytest.raises(FileNotFoundError, match="There are no saved models here"):
        l2zoo.load("digits")


def test_they_lie_in_the_folder_saved_models_of_the_package_or_its_repository():
    package = Path(l2zoo.__file__).parent
    assert set(locations.search_path()) <= {package / "saved_models", package.parent / "saved_models"}


def test_what_is_no_artifact_is_not_loaded(written, tmp_path):
    with pytest.raises(TypeError, match="`name_or_folder` must be a name or a path, got NoneType"):
        l2zoo.load(None)
    with pytest.raises(ValueError, match=r"got the file '.*model\.keras'.* keras\.saving\.load_model"):
        l2zoo.load(written.folder / "model.keras")
    with pytest.raises(FileNotFoundError, match=r"must be an artifact's folder with a manifest\.json"):
        l2zoo.load(tmp_path)


def test_without_a_keras_model_the_error_says_what_there_is(folder):
    formats = manifest.read(folder)["formats"]
    del formats["keras"]
    (folder / "model.keras").unlink()
    rewrite(folder, formats=formats)
    words = r"has no model\.keras, manifest\.json lists \['savedmodel', 'tflite'\].*export the model again"
    with pytest.raises(ValueError, match=words):
        l2zoo.load(folder)


def test_code_in_a_model_is_not_run(folder, tmp_path):
    """A Lambda layer is Python's own bytecode; its digest fits, as whoever put it there saw to."""
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs))
    model.save(folder / "model.keras")
    rewrite(folder)
    with pytest.raises(ValueError, match=r"model\.keras cannot be loaded.*Register the classes"):
        l2zoo.load(folder, trusted=True)


@pytest.mark.parametrize("module", ["os", "builtins", "subprocess"])
def test_a_config_that_names_python_s_own_functions_is_not_run(folder, tmp_path, module):
    mark = tmp_path / "mark"
    function = {"os": "system", "builtins": "exec", "subprocess": "call"}[module]
    code = f"touch {mark}" if module != "builtins" else f"open({str(mark)!r}, 'w')"
    evil = {
        "module": module,
        "class_name": function,
        "config": {"command": code},
        "registered_name": function,
    }
    with zipfile.ZipFile(folder / "model.keras") as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][1] = evil
    for content in (config, evil):
        members["config.json"] = json.dumps(content).encode()
        with zipfile.ZipFile(folder / "model.keras", "w") as packed:
            for name, part in members.items():
                packed.writestr(name, part)
        rewrite(folder)
        with pytest.raises(ValueError, match=r"model\.keras cannot be loaded"):
            l2zoo.load(folder, trusted=True)
    assert not mark.exists()


def test_a_fresh_process_refuses_a_damaged_folder_without_loading_keras(folder):
    (folder / "README.md").write_text("another")
    code = (
        "import sys, l2zoo\n"
        "try:\n    l2zoo.load(sys.argv[1])\n"
        "except ValueError as error:\n"
        "    print('README.md was changed' in str(error), 'keras' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False"]
