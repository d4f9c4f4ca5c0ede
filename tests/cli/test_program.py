"""The program: its help, wrong usage, and what is heard of warnings."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest

from l2zoo.utils.console import without_chatter

COMMANDS = (
    "tune",
    "train",
    "compare",
    "privacy",
    "serve",
    "list",
    "audit",
    "apply",
    "convert",
    "export",
    "verify",
    "sign",
    "predict",
    "evaluate",
    "bench",
)


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
        (("evaluate", "cnn_digits", "x", "-f", "tflight"), "auto, tflite, tflite_fp16", "tflite"),
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


@pytest.mark.filterwarnings("default")
def test_warnings_for_users_are_heard_though_notes_are_held_back(
    l2zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure_latency(*_: object, **__: object) -> list:
        with without_chatter():
            os.write(2, b"chatter\n")
            warnings.warn("for users", UserWarning, stacklevel=1)
        warnings.warn("for programmers", DeprecationWarning, stacklevel=1)
        raise ValueError("the reason")

    monkeypatch.setattr("l2zoo.inference.benchmark.measure_latency", measure_latency)
    answer = l2zoo("bench", "cnn_digits")
    assert (answer.status, answer.err) == (1, "l2zoo: warning: for users\nl2zoo: the reason\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("bench", "cnn_digits", "--seconds", "-3"),
            "--seconds must be a finite number >= 0, got --seconds -3.0.",
        ),
        (("bench", "cnn_digits", "-f", "tflite_fp16"), "got --format tflite_fp16."),
        (("predict", "cnn_digits", "no.png"), "IMAGE must be paths of image files, got 'no.png'."),
        (("predict", "cnn_digits", "no.png", "--threads", "0"), "got --threads 0."),
        (
            ("predict", "cnn_digits", "no.png", "--min-score", "0.5"),
            "--min-score is for boxes, got --min-score 0.5",
        ),
        (("evaluate", "cnn_digits", "no", "--worst", "a.gif"), "--worst must end in .png"),
        (("evaluate", "diffusion_digits", "no"), "`evaluate` is for classification,"),
        (("convert", "1", "--from", "keras", "--to", "glmnet"), "--data-loss is needed to convert"),
    ],
)
def test_what_the_library_refuses_is_said_in_the_words_of_the_shell(
    l2zoo, arguments: tuple[str, ...], said: str
) -> None:
    answer = l2zoo(*arguments)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("l2zoo: ")
    assert said in answer.err


def test_an_artifact_that_is_there_is_replaced_by_the_option_of_that_name(l2zoo, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    answer = l2zoo("export", "cnn_digits", "-o", tmp_path / "out", "--data", "l2zoo_digits", "-f", "keras")
    assert answer.status == 1
    assert f"--output exists already, got --output {tmp_path / 'out'}." in answer.err
    assert "pass --overwrite to replace it." in answer.err
    assert (tmp_path / "out" / "mine.txt").exists()
