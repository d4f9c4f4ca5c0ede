"""Commands about models print what the library answers, and say in one line why they could not."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo import zoo

ESCAPE = "\x1b"


@pytest.fixture
def own_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module that registers a layer of its own, and a model that needs it."""
    (tmp_path / "own_layers.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable('own')\n"
        "class Own(keras.layers.Dense):\n"
        "    pass\n"
    )

    def forget() -> None:
        sys.modules.pop("own_layers")
        keras.saving.get_custom_objects().pop("own>Own")

    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("own_layers").Own(2, name="own")
    keras.Sequential([keras.Input((4,)), own]).save(tmp_path / "own.keras")
    forget()
    yield tmp_path
    forget()


# ---- Convert, list -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (("1e-4", "--from", "pytorch", "--to", "keras"), "5e-05"),
        (("1", "--from", "sklearn_logistic", "--to", "keras", "--num-samples", "1000"), "0.0005"),
        (("3", "--from", "sklearn_ridge", "--to", "pytorch", "--num-samples", "10"), "0.6"),
        (("0.5", "--from", "mean", "--to", "keras", "--num-parameters", "100"), "0.0025"),
        (("2", "--from", "glmnet", "--to", "keras", "--data-loss", "mse", "--target-std", "4"), "0.5"),
    ],
)
def test_convert_prints_the_number_alone(l2zoo, arguments: tuple[str, ...], printed: str) -> None:
    answer = l2zoo("convert", *arguments)
    assert (answer.status, answer.out, answer.err) == (0, f"{printed}\n", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("1", "--from", "sklearn_ridge", "--to", "keras"), "--num-samples is needed"),
        (("nan", "--from", "pytorch", "--to", "keras"), "VALUE must be a finite number >= 0, got nan"),
        (("1", "--from", "keras_weight_decay", "--to", "keras", "--momentum", "0.9"), "got --momentum 0.9"),
    ],
)
def test_an_error_of_the_library_is_one_line_and_ends_with_one(
    l2zoo, arguments: tuple[str, ...], text: str
) -> None:
    answer = l2zoo("convert", *arguments)
    assert answer.status == 1
    assert answer.out == ""
    assert answer.err.startswith("l2zoo: ")
    assert answer.err.count("\n") == 1
    assert text in answer.err


def test_list_has_a_line_for_every_model_of_the_zoo(l2zoo) -> None:
    lines = l2zoo("list").out.splitlines()
    assert [line.split()[0] for line in lines] == zoo.list_models()
    assert "classification" in next(line for line in lines if line.startswith("cnn "))


def test_list_filters_by_pattern_and_task(l2zoo) -> None:
    assert l2zoo("list", "cn*").out.startswith("cnn ")
    assert l2zoo("list", "nothing-like-this").out == ""
    assert {row["task"] for row in json.loads(l2zoo("list", "--task", "video", "--json").out)} == {"video"}


def test_json_of_list_and_convert_says_the_same(l2zoo) -> None:
    rows = json.loads(l2zoo("list", "cnn*", "--json").out)
    assert [(row["name"], row["task"]) for row in rows] == [
        ("cnn", "classification"), ("cnn_plain", "classification"),
    ]  # fmt: skip
    assert all(row["source"] for row in rows)
    found = json.loads(l2zoo("convert", "1e-4", "--from", "pytorch", "--to", "keras", "--json").out)
    assert found == {"value": 1e-4, "from": "pytorch", "to": "keras", "converted": 5e-5}


def test_a_terminal_is_shown_a_table(l2zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")  # without colours
    heading, row = l2zoo("list", "unet").out.splitlines()[:2]
    assert heading.split() == ["name", "task", "source"]
    assert "unet" in row
    assert "Ronneberger" in row


# ---- Audit, apply ------------------------------------------------------------------------------------------


def test_audit_prints_a_row_for_every_weight_and_no_chatter(l2zoo, model_file: Path) -> None:
    answer = l2zoo("audit", model_file)
    assert answer.status == 0
    assert answer.err == ""
    for weight in ("conv/kernel", "conv/bias", "norm/gamma", "norm/beta", "out/kernel", "out/bias"):
        assert weight in answer.out
    assert ESCAPE not in answer.out


def test_audit_json_is_json_and_nothing_else(l2zoo, model_file: Path) -> None:
    found = json.loads(l2zoo("audit", model_file, "--json").out)
    assert found["penalty"] == 0.0
    assert len(found["rows"]) == 6
    assert found["problems"]


def test_audit_in_short(l2zoo, model_file: Path) -> None:
    whole = l2zoo("audit", model_file).out
    grouped = l2zoo("audit", model_file, "--by", "layer-group")
    assert grouped.status == 0
    assert grouped.out.splitlines()[1].split()[0] == "layers"
    assert len(grouped.out.splitlines()) <= len(whole.splitlines())
    short = l2zoo("audit", model_file, "--only", "problems").out.splitlines()
    assert [line for line in short if not line.startswith(("l2: ", "! "))] == []
    assert set(short) < set(whole.splitlines())
    assert "Did you mean 'layer-group'?" in l2zoo("audit", model_file, "--by", "layer-groups").err


def test_audit_strict_ends_with_one_when_there_are_problems(l2zoo, model_file: Path, tmp_path: Path) -> None:
    assert l2zoo("audit", model_file, "--strict").status == 1
    penalised = tmp_path / "penalised.keras"
    l2zoo("apply", model_file, "--l2", "1e-3", "-o", penalised)
    assert l2zoo("audit", penalised, "--strict").status == 0


def test_apply_writes_the_model_with_the_penalty_that_numpy_counts(
    l2zoo, model_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "penalised.keras"
    answer = l2zoo("apply", model_file, "--l2", "1e-4", "--convention", "pytorch", "-o", output)
    assert answer.status == 0
    assert answer.err == ""
    assert answer.out.splitlines()[0].startswith("l2: 2 kernels at 5e-05")
    before, after = keras.saving.load_model(model_file, compile=False), keras.saving.load_model(output)
    for one, other in zip(before.get_weights(), after.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    expected = 5e-5 * sum(np.sum(np.square(weight)) for weight in before.get_weights() if weight.ndim > 1)
    assert float(sum(after.losses)) == pytest.approx(expected, rel=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["penalised.keras"]


def test_apply_takes_multipliers_and_overrides(l2zoo, model_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "penalised.keras"
    factors = ("--multiplier", "bias=0.5", "--override", "conv/kernel=0")
    assert l2zoo("apply", model_file, "--l2", "1e-2", *factors, "-o", output).status == 0
    found = json.loads(l2zoo("audit", output, "--json").out)
    strengths = {row["path"]: row["strength"] for row in found["rows"]}
    assert strengths["conv/kernel"] == 0.0
    assert strengths["out/kernel"] == pytest.approx(1e-2)
    assert strengths["out/bias"] == pytest.approx(5e-3)


def test_apply_replaces_a_penalty_of_somebody_only_when_told(l2zoo, model_file: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.keras", tmp_path / "twice.keras"
    body = [keras.Input((4,)), keras.layers.Dense(3, kernel_regularizer="l2", name="dense")]
    keras.Sequential(body).save(once)
    refused = l2zoo("apply", once, "--l2", "1e-3", "-o", twice)
    assert refused.status == 1
    assert "not put there by an L2Policy: dense/kernel. --replace takes it off.\n" in refused.err
    assert not twice.exists()
    assert "at 0.001" in l2zoo("apply", once, "--l2", "1e-3", "-o", twice, "--replace").out


def test_apply_replaces_what_it_wrote_itself(l2zoo, model_file: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.keras", tmp_path / "twice.keras"
    l2zoo("apply", model_file, "--l2", "1e-3", "-o", once)
    assert "at 0.01" in l2zoo("apply", once, "--l2", "1e-2", "-o", twice).out
    assert "2 kernels at 0.01" in l2zoo("audit", twice).out


def test_a_factor_of_0_that_was_asked_for_is_no_problem(l2zoo, model_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.keras"
    assert l2zoo("apply", model_file, "--l2", "1e-3", "--override", "conv/kernel=0", "-o", output).status == 0
    answer = l2zoo("audit", output, "--strict", "--json")
    assert (answer.status, json.loads(answer.out)["problems"]) == (0, [])


@pytest.fixture
def own_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module `mine`, of a model that Keras cannot look into and one that keeps no assets."""
    (tmp_path / "mine.py").write_text(
        """
import keras

@keras.saving.register_keras_serializable("mine")
class Subclass(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(3, name="dense")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return {"name": self.name}

@keras.saving.register_keras_serializable("mine")
class Closed(Subclass):
    def save_assets(self, folder):
        pass
"""
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.mark.filterwarnings("ignore:The penalty of these layers is lost")
def test_what_apply_says_is_read_back_from_what_it_wrote(l2zoo, own_classes: Path) -> None:
    import mine

    for kind in (mine.Subclass, mine.Closed):
        model = kind()
        model(np.zeros((1, 4), "float32"))
        model.save(own_classes / f"{kind.__name__}.keras")
    answer = l2zoo("apply", "Subclass.keras", "--import", "mine", "--l2", "1e-4", "-o", "out.keras")
    assert (answer.status, answer.out.splitlines()[0]) == (0, "l2: 1 kernel at 0.0001, 1 bias free")
    assert "1 kernel at 0.0001" in l2zoo("audit", "out.keras", "--import", "mine").out
    refused = l2zoo("apply", "Closed.keras", "--import", "mine", "--l2", "1e-4", "-o", "lost.keras")
    assert (refused.status, refused.out) == (1, "")
    assert "The penalty of 1 weights is not in the file" in refused.err
    assert not (own_classes / "lost.keras").exists()


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("there.keras", "--force overwrites it"),
        ("out.h5", "must end in .keras"),
        ("no/out.keras", "no folder"),
    ],
)
def test_apply_checks_its_output_before_it_works(
    l2zoo, model_file: Path, tmp_path: Path, output: str, text: str
) -> None:
    (tmp_path / "there.keras").write_text("precious")
    answer = l2zoo("apply", model_file, "--l2", "1e-3", "-o", tmp_path / output)
    assert answer.status == 2
    assert text in answer.err
    assert (tmp_path / "there.keras").read_text() == "precious"


@pytest.mark.parametrize("factor", ["depthwise", "depthwise=", "=0", "depthwise=none"])
def test_a_factor_that_is_no_factor_is_wrong_usage(
    l2zoo, model_file: Path, tmp_path: Path, factor: str
) -> None:
    answer = l2zoo("apply", model_file, "--l2", "1", "--multiplier", factor, "-o", tmp_path / "out.keras")
    assert answer.status == 2
    assert "must read NAME=FACTOR" in answer.err


def test_a_file_that_is_no_model_is_one_line(l2zoo, tmp_path: Path) -> None:
    for name, content in (("text.keras", b"no model"), ("cut.keras", b"PK\x03\x04")):
        (tmp_path / name).write_bytes(content)
        answer = l2zoo("audit", tmp_path / name)
        assert answer.status == 1
        assert answer.err.startswith("l2zoo: ")
        assert answer.err.count("\n") == 1


def test_a_layer_of_one_s_own_is_found_when_its_module_is_named(
    l2zoo, own_layer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_layer)
    refused = l2zoo("audit", "own.keras")
    assert refused.status == 1
    assert "Could not locate class 'Own'" in refused.err
    assert "--import MODULE" in refused.err
    assert refused.err.count("\n") == 1
    assert "own/kernel" in l2zoo("audit", "own.keras", "--import", "own_layers").out


def test_a_saved_model_is_audited_by_its_name_after_its_checksums(
    l2zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2zoo.artifacts import manifest, trust
    from l2zoo.artifacts.store import locations

    folder = tmp_path / "copy"
    shutil.copytree(locations.find("cnn_digits"), folder)
    monkeypatch.setattr(trust, "_made", set())
    trust.remember(manifest.read(folder)["files"])  # no stranger's, which another process would open first
    found = [l2zoo("audit", one, "--json").out for one in ("cnn_digits", folder, folder / "model.keras")]
    assert found[0] == found[1] == found[2]
    assert len(json.loads(found[0])["rows"]) > 10
    with open(folder / "model_int8.tflite", "r+b") as file:
        file.write(b"x")
    refused = l2zoo("audit", folder)
    assert refused.status == 1
    assert "model_int8.tflite was changed" in refused.err
