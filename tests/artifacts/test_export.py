"""`export`: the folder holds what it says, and nothing is there when something is wrong."""

import dataclasses
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo.artifacts import Card, Limits, export, manifest, verify
from l2zoo.artifacts.formats.table import FORMATS
from l2zoo.artifacts.parity import check
from l2zoo.utils.storage.temporary import PREFIX

layers = keras.layers
FILES = {
    "README.md",
    "labels.txt",
    "manifest.json",
    "model.keras",
    "model.tflite",
    "sample.npz",
    "saved_model/1/fingerprint.pb",
    "saved_model/1/saved_model.pb",
    "saved_model/1/variables/variables.data-00000-of-00001",
    "saved_model/1/variables/variables.index",
}


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def run_python(code, *arguments, cwd):
    """Runs code in a process of its own; what it prints last is JSON."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_folder_holds_every_file_and_no_other(written):
    assert files_of(written.folder) == FILES
    assert set(written.manifest["files"]) == FILES - {"manifest.json"}
    assert [path.name for path in written.folder.parent.iterdir()] == [written.folder.name]


def test_parity_is_what_the_files_really_answer(written, trained):
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    images = trained.images[:300].astype(np.float32)
    wanted = trained.model.predict(images, verbose=0)
    lite = Interpreter(model_path=str(written.folder / "model.tflite"))
    lite.resize_tensor_input(lite.get_input_details()[0]["index"], images.shape)
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], images)
    lite.invoke()
    loaded = tf.saved_model.load(str(written.folder / "saved_model" / "1"))
    answers = {
        "tflite": lite.get_tensor(lite.get_output_details()[0]["index"]),
        "savedmodel": loaded.signatures["serving_default"](images=tf.constant(images))["output_0"].numpy(),
        "keras": keras.saving.load_model(written.folder / "model.keras").predict(images, verbose=0),
    }
    assert answers.keys() == written.parity.keys()
    for name, answer in answers.items():
        assert np.abs(answer - wanted).max() < 1e-6
        assert written.parity[name].max_abs_diff == pytest.approx(np.abs(answer - wanted).max(), abs=3e-7)
        assert written.parity[name].images == 300
        assert written.parity[name].argmax_agreement == 1.0


@pytest.mark.slow
def test_a_fresh_process_without_keras_or_l2zoo_answers_the_same(written, trained, tmp_path):
    images = trained.images[300:307].astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    code = """
        import json, sys
        import numpy as np
        sys.modules |= dict.fromkeys(["l2zoo", "keras", "tensorflow"])  # importing them fails
        images, folder = np.load("images.npy"), sys.argv[1]
        from ai_edge_litert.interpreter import Interpreter
        interpreter = Interpreter(model_path=folder + "/model.tflite")
        lite = interpreter.get_signature_runner("serving_default")(images=images)["output_0"]
        del sys.modules["tensorflow"]
        import tensorflow as tf
        loaded = tf.saved_model.load(folder + "/saved_model/1")
        saved = loaded.signatures["serving_default"](images=tf.constant(images))["output_0"].numpy()
        print(json.dumps([lite.tolist(), saved.tolist()]))
        """
    wanted = trained.model.predict(images, verbose=0)
    for answers in run_python(code, written.folder, cwd=tmp_path):
        np.testing.assert_allclose(answers, wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["savedmodel", "tflite"])
def test_any_batch_size_goes_in(written, trained, name):
    predict, _ = FORMATS[name].open(written.folder / FORMATS[name].path)
    images = trained.images[:7].astype(np.float32)
    wanted = trained.model.predict(images, verbose=0)
    for count in (7, 1, 3, 7):
        np.testing.assert_allclose(predict({"images": images[:count]})["output_0"], wanted[:count], atol=1e-5)


def test_the_manifest_says_what_is_in_the_tflite_file(written):
    found = written.manifest["formats"]["tflite"]["found"]
    # By hand: scaling is folded or a pair of arithmetic operators, BN is folded into the first convolution.
    operators = {"CONV_2D": 2, "FULLY_CONNECTED": 1, "MEAN": 1, "SOFTMAX": 1}
    assert {name: found["operators"][name] for name in operators} == operators
    assert set(found["operators"]) - set(operators) <= {"MUL", "ADD", "SUB"}
    assert found["custom_operators"] == {}
    assert set(found["weights"]) == {"float32", "int32"}  # int32: the axes of the mean
    assert set(found["activations"]) == {"float32"}
    assert found["inputs"] == {"images": {"shape": [None, 8, 8, 1], "dtype": "float32"}}
    assert found["outputs"] == {"output_0": {"shape": [None, 10], "dtype": "float32"}}


def test_the_signature_is_the_one_tensorflow_serving_expects(written):
    found = written.manifest["formats"]["savedmodel"]["found"]
    assert {name: found[name] for name in ("signature", "inputs", "outputs")} == {
        "signature": "serving_default",
        "inputs": {"images": {"shape": [None, 8, 8, 1], "dtype": "float32"}},
        "outputs": {"output_0": {"shape": [None, 10], "dtype": "float32"}},
    }


def test_the_manifest_holds_what_was_given_and_what_was_found(written, trained):
    content = written.manifest
    assert content["format_version"] == manifest.VERSION
    assert content["name"] == "digits_cnn"
    assert content["class_names"] == list("0123456789")
    assert content["data"] == "scikit-learn's 1,797 digits, 8x8."
    accuracy = content["metrics"]["test_accuracy"]
    assert accuracy == {"mean": pytest.approx(0.975), "se": 0.003, "seeds": 3}
    kernels = [layer.kernel for layer in trained.model.layers if hasattr(layer, "kernel")]
    penalty = sum(1e-4 * np.sum(np.square(kernel.numpy(), dtype=np.float64)) for kernel in kernels)
    assert content["l2"]["penalty"] == pytest.approx(penalty, rel=1e-5)
    assert content["l2"]["summary"].startswith("l2: ")
    assert set(content["versions"]) == {"l2zoo", "python", "keras", "tensorflow", "numpy", "litert"}
    assert content["formats"]["tflite"]["bytes"] == (written.folder / "model.tflite").stat().st_size
    assert content["formats"]["tflite"]["parity"] == dataclasses.asdict(written.parity["tflite"])


def test_the_stored_sample_holds_the_models_answers(written, trained):
    with np.load(written.folder / "sample.npz", allow_pickle=False) as stored:
        images, answers = stored["images"], stored["expected_output_0"]
    assert images.dtype == np.uint8
    assert images.shape == (32, 8, 8, 1)
    np.testing.assert_allclose(answers, trained.model.predict(images, verbose=0), atol=1e-6)


def test_no_file_knows_the_machine_it_was_made_on(written):
    places = [str(place).encode() for place in (Path.cwd(), Path.home(), written.folder.parent)]
    for path in written.folder.rglob("*"):
        if path.is_file():
            assert not [place for place in places if len(place) > 1 and place in path.read_bytes()]


def test_the_artifact_prints_as_a_table(written):
    lines = str(written).splitlines()
    assert lines[0].startswith(f"{written.folder}: digits_cnn, 9 files, ")
    assert [line.split("|")[1].strip() for line in lines[4:]] == ["keras", "savedmodel", "tflite"]


def small(*, name="small"):
    inputs = keras.Input((8, 8, 1), dtype="uint8")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    initializer = keras.initializers.GlorotUniform(seed=3)
    x = layers.Dense(4, activation="softmax", kernel_initializer=initializer)(x)
    return keras.Model(inputs, x, name=name)


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)


def test_an_uncompiled_model_with_byte_inputs_takes_float32_and_nothing_is_printed(tmp_path, capsys):
    artifact = export(small(), tmp_path / "bytes", sample=IMAGES.astype(np.float64))
    assert capsys.readouterr().out == ""
    assert artifact.manifest["inputs"]["images"]["dtype"] == "float32"
    assert artifact.parity["tflite"].images == 5


@pytest.mark.slow
def test_a_live_strength_is_exported_as_the_number_it_has(live, fresh_process):
    model = keras.saving.load_model(live.folder / "model.keras")
    penalty = 0.25 * np.sum(np.square(model.layers[-1].kernel.numpy(), dtype=np.float64))
    assert live.manifest["l2"]["penalty"] == pytest.approx(penalty, rel=1e-5)
    assert fresh_process["live"] == pytest.approx(penalty, rel=1e-5)
    assert not fresh_process["l2zoo was imported"]


def test_a_subclassed_model_takes_the_samples_shape(tmp_path):
    model = Subclassed()
    model(IMAGES.astype(np.float32))
    artifact = export(model, tmp_path / "subclassed", sample=IMAGES, formats=["tflite"])
    assert artifact.manifest["inputs"]["images"]["shape"] == [None, 8, 8, 1]
    assert files_of(artifact.folder) == {name for name in FILES if not name.startswith("saved_model")}


@keras.saving.register_keras_serializable(package="l2zoo_tests")
class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.flat, self.dense = layers.Flatten(), layers.Dense(3, activation="softmax")

    def call(self, images):
        return self.dense(self.flat(images) / 255)


def test_named_outputs_keep_their_names(tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    outputs = {
        "box": layers.Dense(4, name="b")(x),
        "score": layers.Dense(1, activation="sigmoid", name="s")(x),
    }
    artifact = export(keras.Model(inputs, outputs), tmp_path / "named", sample=IMAGES)
    assert set(artifact.manifest["outputs"]) == {"box", "score"}
    assert set(artifact.manifest["formats"]["tflite"]["found"]["outputs"]) == {"box", "score"}


def test_a_class_that_keras_does_not_know_is_refused(tmp_path):
    class Odd(layers.Layer):
        def call(self, x):
            return x / 255

    model = keras.Sequential([keras.Input((8, 8, 1)), Odd(), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(
        ValueError,
        match=r"model\.keras cannot be loaded: Could not locate class 'Odd'.*register_keras_serializable",
    ):
        export(model, tmp_path / "odd", sample=IMAGES, formats=[])
    assert list(tmp_path.iterdir()) == []


def tampered(name, monkeypatch, change):
    """Makes a format answer something else, as a miscompiled file would."""
    row = FORMATS[name]

    def open_changed(path):
        predict, found = row.open(path)

        def answer(inputs):
            return {key: change(inputs["images"], value) for key, value in predict(inputs).items()}

        return answer, found

    monkeypatch.setitem(FORMATS, name, dataclasses.replace(row, open=open_changed))


@pytest.mark.parametrize("name", ["keras", "savedmodel", "tflite"])
def test_a_file_that_answers_otherwise_is_not_shipped(tmp_path, monkeypatch, name):
    def change(images, answers):
        return answers + 0.25 * (images[:, 0, 0] == IMAGES[3, 0, 0])

    tampered(name, monkeypatch, change)
    with pytest.raises(
        ValueError, match=rf"^{name} does not answer like .* is 0\.25, at most 0\.0001 .*worst at image 3\. "
        "Nothing was written.*wider `limits`"
    ):  # fmt: skip
        export(small(), tmp_path / "wrong", sample=IMAGES, formats=[name])
    assert list(tmp_path.iterdir()) == []


def test_a_wider_limit_lets_such_a_file_pass(tmp_path, monkeypatch):
    tampered("keras", monkeypatch, lambda images, answers: answers + 0.25)
    wide = Limits(max_abs_diff=0.3)
    words = r"`verify` will refuse the artifact: .* for keras is max_abs_diff=0\.3, at most 0\.0"
    with pytest.warns(UserWarning, match=words):
        found = export(small(), tmp_path / "wide", sample=IMAGES, formats=[], limits=wide)
    assert found.parity["keras"].holds
    with pytest.raises(ValueError, match=r"for keras is max_abs_diff=0\.3, at most 0\.0"):
        verify(tmp_path / "wide")


def test_weights_of_nan_are_refused(tmp_path):
    model = small()
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    with pytest.raises(
        ValueError, match="The Keras model answers 'output_0' with NaN or infinity, first for"
    ):
        export(model, tmp_path / "nan", sample=IMAGES)
    assert list(tmp_path.iterdir()) == []


def test_the_old_artifact_stays_when_the_new_one_fails(folder, monkeypatch):
    before = {path: (folder / path).read_bytes() for path in files_of(folder)}
    tampered("tflite", monkeypatch, lambda images, answers: answers * np.nan)
    with pytest.raises(ValueError, match="tflite answers 'output_0' with NaN"):
        export(small(), folder, sample=IMAGES, overwrite=True)
    assert {path: (folder / path).read_bytes() for path in files_of(folder)} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_artifact_is_replaced_only_when_asked(folder):
    with pytest.raises(ValueError, match=r"`folder` exists already.*overwrite=True"):
        export(small(), folder, sample=IMAGES, formats=[])
    artifact = export(small(name="newer"), folder, sample=IMAGES, formats=[], overwrite=True)
    assert artifact.manifest["name"] == "newer"
    assert files_of(folder) == {"README.md", "labels.txt", "manifest.json", "model.keras", "sample.npz"}


def test_the_picture_goes_along(tmp_path):
    picture = tmp_path / "curve.PNG"
    picture.write_bytes(b"\x89PNG")
    card = Card(name="Digits", picture=picture)
    folder = export(small(), tmp_path / "pictured", sample=IMAGES, formats=[], card=card).folder
    assert (folder / "picture.png").read_bytes() == b"\x89PNG"
    assert "![Digits](picture.png)" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"formats": ["tflight"]},
            ValueError,
            r"`formats` must be out of .*got \['tflight'\]\. Did you mean",
        ),
        ({"formats": "tflite"}, ValueError, "`formats` must be a list of words out of .*, got 'tflite'"),
        ({"limits": 0.3}, TypeError, "`limits` must be a Limits, got float"),
        ({"conversion": "int8"}, TypeError, "`conversion` must be a Conversion, got str"),
        ({"measure": 0.9}, TypeError, "`measure` must be a function of the outputs, got float"),
        ({"sample": None}, ValueError, "`sample` must hold real images"),
        ({"metrics": {"accuracy": "high"}}, TypeError, r"`metrics\['accuracy'\]` must be a number"),
        (
            {"metrics": {"a": {"mean": float("nan")}}},
            ValueError,
            r"`metrics\['a'\]\['mean'\]` must be finite",
        ),
        ({"card": Card(class_names=["a", "b"])}, ValueError, "must name the 4 classes of the model, got 2"),
        ({"model": "model.keras"}, TypeError, "`model` must be a keras.Model, got str"),
        (
            {"model": keras.Sequential([layers.Dense(2)], name="s")},
            ValueError,
            "`model` must be built, got 's'",
        ),
    ],
)
def test_wrong_arguments_are_refused_and_leave_nothing(tmp_path, options, error, words):
    arguments = {"model": small(), "sample": IMAGES, "formats": [], **options}
    with pytest.raises(error, match=words):
        export(arguments.pop("model"), tmp_path / "refused", **arguments)
    assert list(tmp_path.iterdir()) == []


KILLED_EXPORT = """
    import os, pathlib, signal, sys, warnings
    import keras
    from l2zoo.artifacts import export
    from {package} import {module}
    import numpy as np

    def die(*arguments, **options):
        os.kill(os.getpid(), signal.SIGKILL)

    {module}.{step} = die
    model = keras.saving.load_model("{folder}/model.keras")
    images = np.load("{folder}/sample.npz")["images"]
    export(model, "{folder}", sample=images, formats=["tflite_int8"], overwrite=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "step"),
    [(check, "compare"), (manifest, "write")],
)
def test_a_killed_export_leaves_the_old_artifact_and_the_next_one_cleans_up(folder, module, step):
    before = {path: (folder / path).read_bytes() for path in files_of(folder)}
    package, _, name = module.__name__.rpartition(".")
    code = KILLED_EXPORT.format(package=package, module=name, step=step, folder=folder)
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    assert {path: (folder / path).read_bytes() for path in files_of(folder)} == before
    assert len(list(folder.parent.glob(f"{PREFIX}*"))) == 1
    export(small(), folder, sample=IMAGES, formats=[], overwrite=True)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_another_backend_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="Export needs Keras on TensorFlow, got backend='jax'"):
        export(small(), tmp_path / "jax", sample=IMAGES)
