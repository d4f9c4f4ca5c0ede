"""The command line prints what the library answers, and says in one line why it could not."""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo import build_cnn, cli, zoo
from l2zoo.utils.console import without_chatter

COMMANDS = ("list", "audit", "apply", "convert", "export", "verify", "sign", "predict", "bench")
ESCAPE = "\x1b"


class Answer:
    """What a run of the command line left behind."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def l2zoo(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Runs the command line in this process; `capfd` sees descriptor 2 as a terminal would."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Answer(ended.value.code or 0, out, err)

    return run


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled model of a convolution (36 weights), a norm and a Dense (432), without a penalty."""
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(4, 3, name="conv"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(3, activation="softmax", name="out"),
    ]
    model = keras.Sequential(layers, name="small")
    model.compile("adam", "sparse_categorical_crossentropy")
    path = tmp_path_factory.mktemp("models") / "small.keras"
    model.save(path)
    return path


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


# ---- Help --------------------------------------------------------------------------------------------------


def test_help_lists_every_command(l2zoo) -> None:
    answer = l2zoo("--help")
    assert answer.status == 0
    assert all(f"\n  {command} " in answer.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_on_one_line(l2zoo, command: str) -> None:
    answer = l2zoo(command, "--help")
    assert answer.status == 0
    assert answer.out.splitlines()[2].strip().endswith(".")
    assert f"\n  Example: l2zoo {command} " in answer.out
    example = next(line for line in answer.out.splitlines() if "Example:" in line)
    assert not example.rstrip().endswith(("-o", "--to", "--from"))


def test_no_summary_of_a_command_is_cut(l2zoo) -> None:
    assert "..." not in l2zoo("--help").out.partition("Commands:")[2]


def test_nothing_to_do_shows_the_help(l2zoo) -> None:
    answer = l2zoo()
    assert answer.status == 2
    assert "Usage: l2zoo" in answer.out + answer.err


def test_help_loads_no_framework_and_no_rich() -> None:
    code = (
        "import sys, l2zoo.cli\n"
        "try: l2zoo.cli.main(['--help'])\n"
        "except SystemExit: print(sorted({'keras', 'tensorflow', 'numpy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_is_the_package_s(l2zoo) -> None:
    import l2zoo as package

    assert l2zoo("--version").out == f"{package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("convret", "1"), "No such command 'convret'. Did you mean 'convert'?"),
        (("convert", "1", "--form", "keras", "--to", "keras"), "No such option: --form"),
        (("convert", "1", "--from", "keras"), "Missing option '--to'"),
        (("convert", "one", "--from", "keras", "--to", "mean"), "Invalid value for 'VALUE'"),
        (("audit", "nowhere.keras"), "'nowhere.keras' is no file, no artifact's folder and no saved model."),
        (("audit", "cnn_digit"), "Did you mean 'cnn_digits'?"),
        (
            ("verify", "nowhere"),
            "'nowhere' is no artifact's folder and no saved model. The saved models: cnn_",
        ),
        (("verify", "cnn_digit"), "Did you mean 'cnn_digits'?"),
        (("verify", __file__), "is no artifact's folder and no saved model"),
        (("predict", "cnn_digits"), "Missing argument 'IMAGE...'"),
        (("predict", "cnn_digit", "one.png"), "Did you mean 'cnn_digits'?"),
        (("bench", "cnn_digit"), "Did you mean 'cnn_digits'?"),
        (("sign", "cnn_digit", "--key", __file__), "Did you mean 'cnn_digits'?"),
    ],
)
def test_wrong_usage_ends_with_two_and_one_hint(l2zoo, arguments: tuple[str, ...], text: str) -> None:
    answer = l2zoo(*arguments)
    assert answer.status == 2
    assert text in answer.err
    assert answer.out == ""


@pytest.mark.parametrize(
    ("arguments", "words", "meant"),
    [
        (("list", "--task", "clasification"), "generation, segmentation, video", "classification"),
        (("convert", "1", "--to", "keras", "--from", "torch"), "glmnet, keras_weight_decay", "pytorch"),
        (("convert", "1", "--from", "keras", "--to", "ridge"), "keras, pytorch, mean", "sklearn_ridge"),
        (
            ("convert", "1", "--from", "glmnet", "--to", "keras", "--data-loss", "entropy"),
            "mse, crossentropy", "crossentropy",
        ),
        (
            ("apply", "cnn_digits", "--l2", "1", "-o", "x.keras", "--convention", "PyTorch"),
            "keras, pytorch, mean", "pytorch",
        ),
        (
            ("export", "cnn_digits", "-o", "x", "--task", "segmentaton"),
            "classification, segmentation, detection", "segmentation",
        ),
        (("export", "cnn_digits", "-o", "x", "-f", "onxx"), "keras, savedmodel, tflite", "onnx"),
        (("export", "cnn_digits", "-o", "x", "--int8-io", "int16"), "float32, uint8, int8", "int8"),
        (("predict", "cnn_digits", "x.png", "--format", "tflight"), "auto, tflite, tflite_fp16", "tflite"),
        (("bench", "cnn_digits", "-f", "tflite_int4"), "tflite_dynamic, tflite_int8", "tflite_int8"),
    ],
)  # fmt: skip
def test_a_word_that_is_not_in_its_list_is_wrong_usage(
    l2zoo, arguments: tuple[str, ...], words: str, meant: str
) -> None:
    answer = l2zoo(*arguments)
    assert (answer.status, answer.out) == (2, "")
    assert words in answer.err
    assert answer.err.endswith(f"got {arguments[-1]!r}. Did you mean {meant!r}?\n")


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
        (("1", "--from", "sklearn_ridge", "--to", "keras"), "`num_samples` is needed"),
        (("nan", "--from", "pytorch", "--to", "keras"), "`value` must be a finite number >= 0"),
        (("1", "--from", "keras_weight_decay", "--to", "keras", "--momentum", "0.9"), "got momentum=0.9"),
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
    lines = l2zoo("list", "unet").out.splitlines()
    assert [word in lines[1] for word in ("name", "task", "source")] == [True] * 3
    assert "unet" in lines[3]
    assert "Ronneberger" in lines[3]


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


def test_apply_replaces_a_penalty_only_when_told(l2zoo, model_file: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.keras", tmp_path / "twice.keras"
    l2zoo("apply", model_file, "--l2", "1e-3", "-o", once)
    refused = l2zoo("apply", once, "--l2", "1e-2", "-o", twice)
    assert refused.status == 1
    assert "already have a penalty" in refused.err
    assert not twice.exists()
    assert "at 0.01" in l2zoo("apply", once, "--l2", "1e-2", "-o", twice, "--replace").out


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


def test_a_saved_model_is_audited_by_its_name_after_its_checksums(l2zoo, tmp_path: Path) -> None:
    from l2zoo.artifacts.store import locations

    folder = tmp_path / "copy"
    shutil.copytree(locations.find("cnn_digits"), folder)
    found = [l2zoo("audit", one, "--json").out for one in ("cnn_digits", folder, folder / "model.keras")]
    assert found[0] == found[1] == found[2]
    assert len(json.loads(found[0])["rows"]) > 10
    with open(folder / "model_int8.tflite", "r+b") as file:
        file.write(b"x")
    refused = l2zoo("audit", folder)
    assert refused.status == 1
    assert "model_int8.tflite was changed" in refused.err


# ---- Verify ------------------------------------------------------------------------------------------------


def test_verify_says_whether_an_artifact_holds(l2zoo, model_file: Path, tmp_path: Path) -> None:
    from l2zoo.artifacts import export

    folder = tmp_path / "artifact"
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), dtype=np.uint8)
    export(keras.saving.load_model(model_file, compile=False), folder, sample=images, formats=["tflite"])
    answer = l2zoo("verify", folder)
    assert answer.status == 0
    assert answer.out.endswith("verified\n")
    found = json.loads(l2zoo("verify", folder, "--json").out)
    assert (found["folder"], found["name"], found["signed"]) == (str(folder), "small", None)
    assert set(found["formats"]) == {"keras", "tflite"}
    for name, path in (("keras", "model.keras"), ("tflite", "model.tflite")):
        row = found["formats"][name]
        assert (row["path"], row["bytes"]) == (path, (folder / path).stat().st_size)
        assert (row["images"], row["max_abs_diff"] <= row["limits"]["max_abs_diff"]) == (8, True)
    with open(folder / "model.tflite", "r+b") as file:
        file.seek(100)
        file.write(b"damage")
    damaged = l2zoo("verify", folder)
    assert damaged.status == 1
    assert damaged.err.startswith("l2zoo: ")
    assert "model.tflite" in damaged.err


def test_verify_of_another_folder_is_one_line(l2zoo, tmp_path: Path) -> None:
    answer = l2zoo("verify", tmp_path)
    assert answer.status == 1
    assert "manifest.json" in answer.err


# ---- Export, predict, bench, sign --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of digits, exported by the command line."""
    keras.utils.set_random_seed(0)
    model = build_cnn((8, 8, 1), num_classes=10, filters=(4, 8))
    folder = tmp_path_factory.mktemp("exported")
    model.save(folder / "digits.keras")
    command = ["export", folder / "digits.keras", "-o", folder / "artifact", "--calibrate", "l2zoo_digits"]
    with pytest.raises(SystemExit) as ended:
        cli.main(
            [
                str(part)
                for part in [
                    *command,
                    "-f",
                    "tflite",
                    "-f",
                    "tflite_int8",
                    "--int8-io",
                    "uint8",
                    "--name",
                    "Digits",
                ]
            ]
        )
    assert not ended.value.code
    return folder / "artifact"


def digit_file(folder: Path) -> Path:
    """The first of the test digits, as a file."""
    from PIL import Image

    from l2zoo.data import load

    path = folder / "digit.png"
    Image.fromarray(load("l2zoo_digits", "test").arrays()[0][0, ..., 0]).save(path)
    return path


def test_export_compares_on_real_images_by_their_labels(artifact: Path) -> None:
    manifest = json.loads((artifact / "manifest.json").read_text())
    assert (manifest["name"], manifest["task"]) == ("Digits", "classification")
    assert manifest["class_names"] == [str(i) for i in range(10)]
    assert manifest["data"] == "Compared on l2zoo_digits test."
    assert set(manifest["formats"]) == {"keras", "tflite", "tflite_int8"}
    assert (manifest["int8"]["io"], manifest["int8"]["allow_float"]) == ("uint8", False)
    found = manifest["formats"]["tflite_int8"]["parity"]
    assert found["images"] == 256
    assert "accuracy" in found["metrics"]


def test_export_hands_its_options_on(
    l2zoo, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2zoo import artifacts

    taken: list[dict[str, object]] = []

    def conversion(*, calibration: np.ndarray, **others: object) -> None:
        taken.append({"images": len(calibration), **others})
        raise ValueError("enough")

    monkeypatch.setattr(artifacts, "Conversion", conversion)
    command = ("export", model_file, "-o", tmp_path / "out", "--data", "l2zoo_digits")
    assert l2zoo(*command).err == "l2zoo: enough\n"
    assert l2zoo(*command, "--int8-io", "int8", "--allow-float").status == 1
    assert taken == [
        {"images": 200, "int8_io": "float32", "allow_float": False},
        {"images": 200, "int8_io": "int8", "allow_float": True},
    ]


def saved(model: keras.Model, folder: Path) -> Path:
    model.save(folder / f"{model.name}.keras")
    return folder / f"{model.name}.keras"


@keras.saving.register_keras_serializable("test_cli")
class Subclassed(keras.Model):
    """Tells nothing of its inputs."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.dense = keras.layers.Dense(10, activation="softmax")

    def call(self, images: object) -> object:
        return self.dense(keras.layers.Flatten()(images))


def detector_of_digits() -> keras.Model:
    from l2zoo import build_detector

    return build_detector((32, 32, 3), num_classes=10, strides=(8,), channels=8, depth=1)


def of_two_inputs() -> keras.Model:
    inputs = {name: keras.Input((8, 8, 1), name=name) for name in ("left", "right")}
    both = keras.layers.Flatten()(keras.layers.Add()(list(inputs.values())))
    return keras.Model(inputs, keras.layers.Dense(10)(both), name="two")


def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, 8, 8, 1), "float32"))
    return model


@pytest.mark.parametrize(
    ("build", "task", "said", "hint"),
    [
        (
            subclassed,
            "classification",
            ", a Subclassed: it does not tell",
            "l2zoo.export(model, folder, sample=images).",
        ),
        (of_two_inputs, "classification", "must be for classification, got 'two'", "with `l2zoo.export`."),
        (detector_of_digits, "classification", "must be for classification", "Try --task detection."),
        (detector_of_digits, "segmentation", "must be for segmentation", "Try --task detection."),
        (
            None,
            "detection",
            ": [None, 8, 8, 1]} to {'output_0': [None, 3]}.",
            "Try --task classification.",
        ),
        (None, "segmentation", "must be for segmentation, got 'small'", "Try --task classification."),
    ],
)
def test_export_of_a_model_that_is_not_for_the_task_is_one_line(
    l2zoo, model_file: Path, tmp_path: Path, build, task: str, said: str, hint: str
) -> None:
    path = model_file if build is None else saved(build(), tmp_path)
    answer = l2zoo("export", path, "-o", tmp_path / "out", "--data", "l2zoo_scenes", "--task", task)
    assert answer.status == 1
    assert answer.err.startswith("l2zoo: MODEL must be ")
    assert answer.err.count("\n") == 1
    assert said in answer.err
    assert answer.err.endswith(f"{hint}\n")
    assert not (tmp_path / "out").exists()


def test_export_needs_images_and_a_known_task(l2zoo, model_file: Path, tmp_path: Path) -> None:
    answer = l2zoo("export", model_file, "-o", tmp_path / "out")
    assert answer.status == 2
    assert "real images are needed" in answer.err
    answer = l2zoo("export", model_file, "-o", tmp_path / "out", "--data", "l2zoo_digits", "--task", "art")
    assert answer.status == 2
    assert "must be one of classification, segmentation, detection, got 'art'.\n" in answer.err
    assert not (tmp_path / "out").exists()


def test_a_model_of_other_classes_is_exported_without_names_and_metrics(
    l2zoo, model_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    options = ("--data", "l2zoo_digits", "-f", "tflite")
    assert l2zoo("export", model_file, "-o", folder, *options).status == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["class_names"] is None
    assert manifest["formats"]["tflite"]["parity"]["metrics"] == {}


def test_predict_prints_what_the_predictor_says(l2zoo, artifact: Path, tmp_path: Path) -> None:
    from l2zoo import Predictor

    path = digit_file(tmp_path)
    (expected,) = Predictor(artifact).predict(path)
    answer = l2zoo("predict", artifact, path, "--top", "2", "--save", tmp_path / "said.png")
    assert (answer.status, answer.err) == (0, "")
    for name, probability in expected.top(2):
        assert f"{name} " in answer.out
        assert f"{probability:.4f}" in answer.out
    assert (tmp_path / "said.png").read_bytes().startswith(b"\x89PNG")
    (row,) = json.loads(l2zoo("predict", artifact, path, "--json").out)
    assert row == {"image": str(path), **expected.to_dict()}


def test_predict_says_what_is_wrong_with_an_image(l2zoo, artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    answer = l2zoo("predict", artifact, tmp_path / "text.png")
    assert answer.status == 1
    assert "cannot be read as an image" in answer.err
    assert answer.err.count("\n") == 1
    answer = l2zoo("predict", artifact, tmp_path / "text.png", "--format", "tflite_fp16")
    assert answer.status == 1
    assert "`format` must be" in answer.err


def test_bench_times_every_file(l2zoo, artifact: Path, tmp_path: Path) -> None:
    answer = l2zoo("bench", artifact, "--seconds", "0.01", "--save", tmp_path / "bench.png")
    assert (answer.status, answer.err) == (0, "")
    assert "tflite_int8" in answer.out
    assert (tmp_path / "bench.png").exists()
    options = ("-f", "tflite", "--threads", "1", "--threads", "2", "--seconds", "0.01", "--json")
    rows = json.loads(l2zoo("bench", artifact, *options).out)
    assert [(row["format"], row["threads"]) for row in rows] == [("tflite", 1), ("tflite", 2)]


def test_a_signature_is_made_and_checked(l2zoo, artifact: Path, tmp_path: Path) -> None:
    pytest.importorskip("model_signing", reason='needs pip install "l2zoo[signing]"')
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec

    def pair(name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        paths = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub"
        private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
        public = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
        for path, text in zip(paths, (private, public), strict=True):
            path.write_bytes(text)
        return paths

    mine, other = pair("mine"), pair("other")
    copy = tmp_path / "artifact"
    shutil.copytree(artifact, copy)
    assert l2zoo("verify", copy, "--public-key", mine[1]).status == 1  # not signed yet
    assert l2zoo("sign", copy, "--key", mine[0]).status == 0
    assert l2zoo("verify", copy, "--public-key", mine[1]).out.endswith("verified, and signed by this key\n")
    refused = l2zoo("verify", copy, "--public-key", other[1])
    assert refused.status == 1
    assert "another key signed it" in refused.err


# ---- What is held back -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("default")
def test_warnings_for_users_are_heard_though_notes_are_held_back(
    l2zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def latencies(*_: object, **__: object) -> list:
        os.write(2, b"chatter\n")
        warnings.warn("for users", UserWarning, stacklevel=1)
        warnings.warn("for programmers", DeprecationWarning, stacklevel=1)
        raise ValueError("the reason")

    monkeypatch.setattr("l2zoo.inference.benchmark.latencies", latencies)
    answer = l2zoo("bench", "cnn_digits")
    assert (answer.status, answer.err) == (1, "l2zoo: warning: for users\nl2zoo: the reason\n")


def test_what_is_held_back_while_loading_is_shown_if_it_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with without_chatter():
        os.write(2, b"chatter\n")
    assert capfd.readouterr().err == ""

    def fail(error: type[Exception]) -> None:
        with without_chatter():
            os.write(2, b"the reason\n")
            raise error("no")

    with pytest.raises(ImportError, match="no"):
        fail(ImportError)
    assert capfd.readouterr().err == "the reason\n"
    with pytest.raises(ValueError, match="no"):  # which says its reason itself
        fail(ValueError)
    assert capfd.readouterr().err == ""


def test_tensorflow_does_not_warn_of_models_that_are_traced(caplog: pytest.LogCaptureFixture) -> None:
    with without_chatter():
        pass
    logger = logging.getLogger("tensorflow")
    logger.warning("5 out of the last 5 calls to %s triggered tf.function retracing.", "step")
    logger.warning("something else")
    assert caplog.messages == ["something else"]
