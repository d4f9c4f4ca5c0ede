"""Commands about artifacts write, check and run them; what they refuse is one line."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo import build_cnn, cli
from tests.signing_keys import key_pair


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of digits, exported by the command line."""
    keras.utils.set_random_seed(0)
    model = build_cnn((8, 8, 1), num_classes=10, filters=(4, 8))
    folder = tmp_path_factory.mktemp("exported")
    model.save(folder / "digits.keras")
    command = f"export {folder}/digits.keras -o {folder}/artifact --calibrate l2zoo_digits --name Digits"
    options = "-f tflite -f tflite_int8 --int8-io uint8"
    with pytest.raises(SystemExit) as ended:
        cli.main([*command.split(), *options.split()])
    assert not ended.value.code
    return folder / "artifact"


# ---- Verify ------------------------------------------------------------------------------------------------


def test_verify_says_whether_an_artifact_holds(l2zoo, artifact: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(artifact, tmp_path / "copy")
    answer = l2zoo("verify", folder)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.endswith("verified\n")
    lines = answer.out.splitlines()
    assert {line.split()[0] for line in lines if line} >= {"keras", "tflite", "tflite_int8"}
    assert max(map(len, lines[1:])) <= 80
    found = json.loads(l2zoo("verify", folder, "--json").out)
    assert (found["folder"], found["name"], found["signed"]) == (str(folder), "Digits", None)
    assert set(found["formats"]) == {"keras", "tflite", "tflite_int8"}
    for name, path in (("keras", "model.keras"), ("tflite", "model.tflite")):
        row = found["formats"][name]
        assert (row["path"], row["bytes"]) == (path, (folder / path).stat().st_size)
        assert (row["images"], row["max_abs_diff"] <= row["limits"]["max_abs_diff"]) == (32, True)
    with open(folder / "model.tflite", "r+b") as file:
        file.seek(100)
        file.write(b"damage")
    damaged = l2zoo("verify", folder)
    assert (damaged.status, damaged.out, damaged.err.count("\n")) == (1, "", 1)
    assert damaged.err.startswith("l2zoo: ")
    assert "model.tflite was changed" in damaged.err


def test_verify_of_another_folder_is_one_line(l2zoo, tmp_path: Path) -> None:
    answer = l2zoo("verify", tmp_path)
    assert answer.status == 1
    assert "manifest.json" in answer.err


# ---- Export, predict, bench, sign --------------------------------------------------------------------------


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


@pytest.mark.slow
def test_export_hands_its_options_on(
    l2zoo, model_file: Path, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2zoo import artifacts

    taken: list[dict[str, Any]] = []

    def export(model: keras.Model, folder: Path, **options: Any) -> None:
        taken.append({"folder": folder, **options})
        raise ValueError("enough")

    monkeypatch.setattr(artifacts, "export", export)
    common = ("-o", tmp_path / "out", "--data", "l2zoo_digits")
    assert l2zoo("export", model_file, *common).err == "l2zoo: enough\n"
    options = ("-f", "tflite_int8", "--int8-io", "int8", "--allow-float", "--overwrite")
    assert l2zoo("export", artifact, *common, *options).status == 1
    plain, full = taken
    assert plain["folder"] == full["folder"] == tmp_path / "out"
    assert [len(one["sample"]) for one in taken] == [256, 256]
    assert [one["formats"] for one in taken] == [("savedmodel", "tflite"), ["tflite_int8"]]
    assert [one["overwrite"] for one in taken] == [False, True]
    assert [one["conversion"].int8_io for one in taken] == ["float32", "int8"]
    assert [one["conversion"].allow_float for one in taken] == [False, True]
    assert [len(one["conversion"].calibration) for one in taken] == [200, 200]
    # A model of other classes than the data is exported without names and metrics.
    assert (plain["measure"], plain["card"].class_names) == (None, None)
    assert full["measure"] is not None
    assert len(full["card"].class_names) == 10


def test_int8_is_not_measured_on_what_it_learns_its_ranges_from(
    l2zoo, artifact: Path, tmp_path: Path
) -> None:
    common = ("export", artifact, "-o", tmp_path / "out", "--data", "l2zoo_digits", "--split", "train[:100]")
    answer = l2zoo(*common, "-f", "tflite_int8")
    said = " ".join(answer.err.split())
    assert "`--calibrate` and `--data` must have nothing in common, but 100 of the 100 examples" in said
    assert '--calibrate-split "train[:80%]" --split "train[80%:]"' in said
    assert not (tmp_path / "out").exists()


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


@functools.cache
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


def of_digits(numbers: int, activation: str | None, loss: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    body = [keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    model = keras.Sequential([*body, keras.layers.Dense(numbers, activation=activation)])
    model.compile("sgd", loss)
    return model


@pytest.mark.slow
def test_a_model_of_logits_is_exported_and_predicts_probabilities(l2zoo, tmp_path: Path) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = of_digits(10, None, loss)
    path = saved(model, tmp_path)
    answer = l2zoo("export", path, "-o", tmp_path / "out", "--data", "l2zoo_digits", "-f", "tflite")
    assert (answer.status, answer.err) == (0, "")
    assert (
        "accuracy"
        in json.loads((tmp_path / "out/manifest.json").read_text())["formats"]["tflite"]["parity"]["metrics"]
    )
    (row,) = json.loads(l2zoo("predict", tmp_path / "out", digit_file(tmp_path), "--json").out)
    assert sum(one["probability"] for one in row["classes"]) == pytest.approx(1, abs=1e-4)
    options = ("--data", "l2zoo_digits", "-f", "tflite", "--output-kind", "probabilities")
    answer = l2zoo("export", path, "-o", tmp_path / "other", *options)
    assert answer.status == 1
    assert "do not add up to 1" in answer.err
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_predict_says_several_classes_and_values(l2zoo, tmp_path: Path) -> None:
    from l2zoo.artifacts import Card, export

    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), dtype=np.uint8)
    labels = of_digits(3, "sigmoid", "binary_crossentropy")
    card = Card(class_names=("car", "road", "sky"))
    export(labels, tmp_path / "labels", sample=images, formats=["tflite"], card=card)
    export(of_digits(2, None, "mse"), tmp_path / "values", sample=images, formats=["tflite"])
    path = digit_file(tmp_path)
    low = l2zoo("predict", tmp_path / "labels", path, "--threshold", "0.0001").out
    high = l2zoo("predict", tmp_path / "labels", path, "--threshold", "0.9999").out
    assert (low.count("yes"), high.count("yes"), high.count(" no")) == (3, 0, 3)
    values = l2zoo("predict", tmp_path / "values", path)
    assert (values.status, "value" in values.out) == (0, True)
    refused = l2zoo("predict", tmp_path / "values", path, "--threshold", "0.5")
    assert refused.status == 1
    assert "--threshold is for outputs that are binary or multilabel, got --threshold 0.5" in refused.err


def test_predict_says_what_is_wrong_with_an_image(l2zoo, artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    answer = l2zoo("predict", artifact, tmp_path / "text.png")
    assert answer.status == 1
    assert "is not a PNG, JPEG, WebP, BMP or GIF image" in answer.err
    assert answer.err.count("\n") == 1
    answer = l2zoo("predict", artifact, tmp_path / "text.png", "--format", "tflite_fp16")
    assert answer.status == 1
    assert "--format must be" in answer.err


def test_predict_takes_a_folder_and_a_pattern(l2zoo, artifact: Path, tmp_path: Path) -> None:
    path = digit_file(tmp_path)
    shutil.copy(path, tmp_path / "other.png")
    for given in (tmp_path, f"{tmp_path}/*.png"):
        answer = l2zoo("predict", artifact, given, "--json")
        assert [one["image"] for one in json.loads(answer.out)] == [str(path), str(tmp_path / "other.png")]


@pytest.mark.slow
def test_boxes_are_shown_from_a_score_on_and_no_more_than_asked_for(
    l2zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Path(__file__).parents[2] / "saved_models" / "detector_scenes" / "picture.png"
    shutil.copy(picture, tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    command = ("predict", "detector_scenes", "photo.png", "--min-score", "0.1")
    found = json.loads(l2zoo(*command, "--json").out)[0]["objects"]
    assert len(found) > 2
    assert min(one["score"] for one in found) >= 0.1
    assert l2zoo(*command).out.count("\n") == 1 + len(found)
    assert l2zoo(*command, "--top", "2").out.count("\n") == 1 + 2
    assert "nothing" in l2zoo(*command[:3], "--min-score", "0.99").out


# ---- Evaluate ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten digits that came later, in class folders."""
    from PIL import Image

    from l2zoo.data import load

    folder = tmp_path_factory.mktemp("later")
    images, labels = load("l2zoo_digits", "test").arrays()
    for number, (image, label) in enumerate(zip(images[:30], labels[:30], strict=True)):
        place = folder / str(label)
        place.mkdir(exist_ok=True)
        Image.fromarray(image[..., 0]).save(place / f"{number}.png")
    return folder


def test_evaluate_judges_a_file_on_a_folder(l2zoo, later: Path, tmp_path: Path) -> None:
    from sklearn.metrics import accuracy_score

    pictures = ("--save", tmp_path / "confusion.svg", "--worst", tmp_path / "worst.png")
    answer = l2zoo("evaluate", "cnn_digits", later, *pictures)
    assert (answer.status, answer.err) == (0, "")
    assert "Which class was taken for which" in (tmp_path / "confusion.svg").read_text()
    assert (tmp_path / "worst.png").read_bytes().startswith(b"\x89PNG")
    content = json.loads(l2zoo("evaluate", "cnn_digits", f"folder:{later}", "--json").out)
    said = json.loads(l2zoo("predict", "cnn_digits", f"{later}/*/*.png", "--json").out)
    true = [Path(one["image"]).parent.name for one in said]
    assert content["metrics"]["accuracy"] == pytest.approx(
        accuracy_score(true, [one["class_name"] for one in said])
    )
    assert content["num_examples"] == 30
    assert f"{content['metrics']['accuracy']:.4f}" in answer.out


def test_evaluate_says_what_does_not_fit_in_one_line(l2zoo, later: Path, tmp_path: Path) -> None:
    shutil.copytree(later / "1", tmp_path / "data" / "cat")
    shutil.copytree(later / "2", tmp_path / "data" / "dog")
    for arguments, words in (
        ((tmp_path / "data",), "cat, dog are not among them"),
        ((later, "--save", tmp_path / "said.gif"), "must end in .png, .svg or .pdf"),
        ((later, "--min-score", "0.5"), "is for boxes"),
        ((later, "--split", "tset"), "train"),
    ):
        answer = l2zoo("evaluate", "cnn_digits", *arguments)
        assert (answer.status, answer.out) == (1, "")
        assert words in answer.err
        assert answer.err.count("\n") == 1


def test_bench_times_every_file(l2zoo, artifact: Path, tmp_path: Path) -> None:
    answer = l2zoo("bench", artifact, "--seconds", "0.01", "--save", tmp_path / "bench.png")
    assert (answer.status, answer.err) == (0, "")
    assert "tflite_int8" in answer.out
    assert (tmp_path / "bench.png").exists()
    options = ("-f", "tflite", "--threads", "1", "--threads", "2", "--seconds", "0.01", "--json")
    rows = json.loads(l2zoo("bench", artifact, *options).out)
    assert [(row["format"], row["threads"]) for row in rows] == [("tflite", 1), ("tflite", 2)]


def test_a_signature_is_made_and_checked(l2zoo, artifact: Path, tmp_path: Path) -> None:
    mine, other = key_pair(tmp_path, "mine"), key_pair(tmp_path, "other")
    copy = tmp_path / "artifact"
    shutil.copytree(artifact, copy)
    assert l2zoo("verify", copy, "--public-key", mine[1]).status == 1  # not signed yet
    assert l2zoo("sign", copy, "--key", mine[0]).status == 0
    assert l2zoo("verify", copy, "--public-key", mine[1]).out.endswith("verified, and signed by this key\n")
    refused = l2zoo("verify", copy, "--public-key", other[1])
    assert refused.status == 1
    assert "another key signed it" in refused.err
