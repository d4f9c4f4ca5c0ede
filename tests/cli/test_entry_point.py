"""The installed command `l2zoo`, started as a person starts it: what it prints, and nothing on stderr."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from l2zoo import Predictor, zoo
from l2zoo.artifacts.store import locations
from tests.processes import L2ZOO, output_of, run

PAGE = Path(__file__).parents[2] / "docs/how-to/sign-and-verify.md"
NAME = "cnn_digits"
COMMANDS = ["tune", "train", "compare", "privacy", "serve"]
COMMANDS += ["list", "audit", "apply", "convert", "export", "verify", "sign", "predict"]
COMMANDS += ["evaluate", "bench", "doctor"]


def started(*arguments: object, folder: Path, **settings: str) -> subprocess.CompletedProcess:
    """A run in a folder where nothing of ours lies, without what a shell of ours may have set."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return run([L2ZOO, *arguments], cwd=folder, env=environment | settings)


def said(*arguments: object, folder: Path) -> str:
    """What a run prints that went well."""
    done = started(*arguments, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    from l2zoo.data import load

    path = tmp_path / "digit.png"
    Image.fromarray(load("l2zoo_digits", "test").arrays()[0][0, ..., 0]).save(path)
    return path


@pytest.mark.slow
def test_list(tmp_path: Path) -> None:
    assert [line.split()[0] for line in said("list", folder=tmp_path).splitlines()] == zoo.list_models()


@pytest.mark.slow
def test_list_in_a_terminal_is_a_table(tmp_path: Path) -> None:
    terminal, ours = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": "80"}
    with os.fdopen(terminal, "rb", buffering=0) as shown:
        done = subprocess.run([str(L2ZOO), "list", "unet"], stdout=ours, cwd=tmp_path, env=environment)
        os.close(ours)
        text = shown.read(10_000).decode()
    assert done.returncode == 0
    assert text.splitlines()[0].split() == ["name", "task", "source"]
    assert "segmentation" in text


def test_convert(tmp_path: Path) -> None:
    assert said("convert", "1e-4", "--from", "pytorch", "--to", "keras", folder=tmp_path) == "5e-05\n"


@pytest.mark.slow
def test_audit(tmp_path: Path) -> None:
    rows = json.loads(said("audit", NAME, "--json", folder=tmp_path))["rows"]
    assert sum(row["strength"] is not None and row["strength"] > 0 for row in rows) == 6


@pytest.mark.slow
def test_apply(tmp_path: Path) -> None:
    options = ("--l2", "1e-3", "--convention", "pytorch", "--replace", "-o", "out.keras")
    printed = said("apply", NAME, *options, folder=tmp_path)
    assert printed.startswith("l2: 6 kernels at 0.0005")
    assert (tmp_path / "out.keras").is_file()


@pytest.mark.slow
def test_export(tmp_path: Path) -> None:
    options = ("--data", "l2zoo_digits", "-f", "tflite", "--json")
    found = json.loads(said("export", NAME, "-o", "out", *options, folder=tmp_path))
    assert set(found["formats"]) == {"keras", "tflite"}
    assert found["formats"]["tflite"]["images"] == 256
    size = (tmp_path / "out/model.tflite").stat().st_size
    assert (
        found["formats"]["tflite"]["bytes"] == size == (locations.find(NAME) / "model.tflite").stat().st_size
    )


@pytest.mark.slow
def test_verify(tmp_path: Path) -> None:
    printed = said("verify", NAME, folder=tmp_path)
    assert printed.endswith("\nverified\n")
    assert all(f"\n{name} " in printed for name in ("keras", "savedmodel", "tflite", "tflite_int8"))


@pytest.mark.slow
def test_verify_of_what_was_changed_is_one_line(tmp_path: Path) -> None:
    shutil.copytree(locations.find(NAME), tmp_path / "copy")
    with open(tmp_path / "copy/model.tflite", "r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    done = started("verify", "copy", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "model.tflite was changed" in done.stderr


@pytest.mark.slow
def test_sign_and_verify_as_the_documentation_says(tmp_path: Path) -> None:
    pytest.importorskip("model_signing", reason='needs pip install "l2zoo[signing]"')
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the keys.")
    blocks = re.findall(r"^```shell\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (lines,) = [block.splitlines() for block in blocks if "openssl" in block]
    assert len(lines) == 5
    assert lines[0].startswith("pip install")  # which was done
    shutil.copytree(locations.find(NAME), tmp_path / "artifact")
    environment = {**os.environ, "PATH": f"{L2ZOO.parent}{os.pathsep}{os.environ['PATH']}"}
    text = output_of(["sh", "-ec", "\n".join(lines[1:])], cwd=tmp_path, env=environment)
    assert text.startswith("wrote artifact/model.sig\n")
    assert text.endswith("\nverified, and signed by this key\n")
    assert (tmp_path / "private.pem").stat().st_mode & 0o077 == 0  # for nobody else to read


@pytest.mark.slow
def test_predict(tmp_path: Path, digit: Path) -> None:
    (row,) = json.loads(said("predict", NAME, digit, "--json", folder=tmp_path))
    assert row == {"image": str(digit), **Predictor(NAME).predict(digit)[0].to_dict()}


@pytest.mark.slow
def test_bench(tmp_path: Path) -> None:
    rows = json.loads(said("bench", NAME, "--seconds", "0.01", "--json", folder=tmp_path))
    assert [(row["format"], row["threads"]) for row in rows] == [("tflite", 1), ("tflite_int8", 1)]
    assert all(np.isfinite(row["p50_ms"]) and row["p50_ms"] > 0 for row in rows)


@pytest.mark.slow
def test_a_typo_is_wrong_usage_with_a_suggestion(tmp_path: Path) -> None:
    done = started("convret", "1", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'convert'?" in done.stderr


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("l2zoo ", COMMANDS),
        ("l2zoo ver", ["verify"]),
        ("l2zoo tune l2zoo_d", ["l2zoo_digits"]),
        ("l2zoo train x --model cnn", ["cnn", "cnn_plain"]),
        ("l2zoo verify cnn_", ["cnn_digits", "cnn_fashion", "cnn_mnist"]),
        ("l2zoo convert 1 --from sk", ["sklearn_ridge", "sklearn_logistic"]),
        ("l2zoo export x --format tflite_", ["tflite_fp16", "tflite_dynamic", "tflite_int8"]),
    ],
)
def test_the_shell_completes(tmp_path: Path, line: str, completed: list[str]) -> None:
    cursor = str(len(line.split(" ")) - 1)
    asked = {"_L2ZOO_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": cursor}
    assert started(folder=tmp_path, **asked).stdout.split() == completed


@pytest.mark.slow
def test_the_shell_is_told_how_to_complete(tmp_path: Path) -> None:
    # What `--show-completion` prints in bash; which shell it is in, it would read off the parent process.
    done = started(folder=tmp_path, _L2ZOO_COMPLETE="source_bash")
    assert "_L2ZOO_COMPLETE=complete_bash" in done.stdout
