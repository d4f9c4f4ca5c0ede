"""What `import l2zoo` does when Keras and TensorFlow come after it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.processes import output_of, run

# Packages of the same names that say how they are loaded.
KERAS = "import tensorflow\nprint('keras')\n"
TENSORFLOW = (
    "import os\n"
    "os.write(2, b'failed call to cuInit\\n')\n"
    "print('tensorflow at level', os.environ['TF_CPP_MIN_LOG_LEVEL'])\n"
)
AFTER = "import l2zoo.registration; l2zoo.registration._register = lambda: print('registered');"


@pytest.fixture
def fakes(tmp_path: Path) -> dict[str, str]:
    """An environment in which these are Keras and TensorFlow."""
    (tmp_path / "keras.py").write_text(KERAS)
    (tmp_path / "tensorflow.py").write_text(TENSORFLOW)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    return {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"} | {"PYTHONPATH": path}


@pytest.mark.parametrize(
    "asked", ["", "importlib.util.find_spec('keras'), importlib.util.find_spec('tensorflow');"]
)
def test_tensorflow_loads_in_silence_and_classes_are_registered_behind_keras(fakes, asked: str) -> None:
    code = (
        f"import sys, importlib.util; {AFTER} before = sys.meta_path[0]; {asked} import keras, tensorflow; "
    )
    done = run([sys.executable, "-c", code + "print(before in sys.meta_path)"], env=fakes)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["tensorflow at level 3", "keras", "registered", "False"]


def test_what_is_loaded_already_is_not_waited_for(fakes) -> None:
    code = f"import tensorflow; {AFTER} import keras; print(type(sys.meta_path[0]).__name__)"
    environment = fakes | {"TF_CPP_MIN_LOG_LEVEL": "1"}
    done = run([sys.executable, "-c", f"import sys; {code}"], env=environment)
    assert done.stdout.splitlines()[:3] == ["tensorflow at level 1", "keras", "registered"]
    assert "_Finder" not in done.stdout
    assert done.stderr == "failed call to cuInit\n"


def test_a_level_that_was_chosen_stays(fakes) -> None:
    printed = output_of(
        [sys.executable, "-c", "import l2zoo, tensorflow"], env=fakes | {"TF_CPP_MIN_LOG_LEVEL": "1"}
    )
    assert printed == "tensorflow at level 1\n"


def test_a_package_that_cannot_be_loaded_says_why(fakes, tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'no such library\\n')\nraise ImportError('no')\n"
    )
    done = run([sys.executable, "-c", "import l2zoo, tensorflow"], env=fakes)
    assert done.returncode == 1
    assert done.stderr.startswith("no such library\n")


PLAIN = """
from l2zoo import build_cnn
import numpy as np
model = build_cnn((8, 8, 1), num_classes=10, l2=1e-4)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(np.zeros((8, 8, 8, 1)), np.zeros(8), verbose=0)
"""


@pytest.mark.slow
def test_a_session_that_trains_a_model_of_ours_prints_nothing() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = run([sys.executable, "-c", PLAIN], env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("module", ["regularization.weights", "regularization.graph", "tasks.losses"])
def test_any_module_may_be_the_first_that_is_imported(module: str) -> None:
    program = f"import l2zoo.{module}, keras; print(keras.saving.get_registered_object('l2zoo>SelectiveSGD'))"
    assert "SelectiveSGD" in output_of([sys.executable, "-c", program])
