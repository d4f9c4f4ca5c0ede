"""Where POSIX has no locks, no groups and no `fork`, as on Windows: everything is imported, and works."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.processes import output_of

# What Windows lacks. Nothing of it may be needed, by us or by what we use.
WITHOUT_POSIX = """
import os, sys
for name in ("fcntl", "grp", "pwd", "resource"):
    sys.modules[name] = None
for name in ("fork", "killpg", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
"""
IMPORT_ALL = """
import importlib, pkgutil, l2zoo
extras = {"grpc", "model_signing", "onnx", "onnxruntime", "ray", "starlette", "tf2onnx"}
count = 0
for module in pkgutil.walk_packages(l2zoo.__path__, "l2zoo."):
    try:
        importlib.import_module(module.name)
        count += 1
    except ImportError as error:
        if (error.name or "").split(".")[0] not in extras:
            raise
print(count)
"""
WORK = """
import numpy as np
from l2zoo import build_cnn, export, fit, tune_l2, verify
from l2zoo.data import load

data = load("l2zoo_digits", limit=60)

def build(l2):
    model = build_cnn((8, 8, 1), num_classes=10, filters=(4,), l2=l2)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

for epochs in (1, 2):
    model = build(1e-4)
    history = fit(model, data, epochs=epochs, run_dir="run", verbose=0)
    print("epochs", epochs, flush=True)
for _ in range(2):
    export(model, "artifact", sample=data.arrays()[0][:8], formats=["tflite"], overwrite=True)
print(*verify("artifact").parity)
for _ in range(2):
    found = tune_l2(build, data, strengths=[1e-3], folds=2, epochs=1, directory="search", verbose=False)
print("strengths", found.best, found.one_se)
"""


@pytest.mark.slow
def test_every_module_is_imported_without_posix() -> None:
    environment = os.environ | {"KERAS_BACKEND": "numpy"}  # which is imported sooner than TensorFlow
    code = WITHOUT_POSIX + IMPORT_ALL
    assert int(output_of([sys.executable, "-W", "ignore", "-c", code], env=environment)) > 100


@pytest.mark.slow
def test_artifacts_runs_and_searches_are_kept_without_posix(tmp_path: Path) -> None:
    code = WITHOUT_POSIX + WORK
    text = output_of([sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path)
    assert text.splitlines() == ["epochs 1", "epochs 2", "keras tflite", "strengths 0.001 0.001"]
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
