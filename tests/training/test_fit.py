"""What `fit` trains, keeps and refuses, seen from outside."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo import L2Policy
from l2zoo.data import load
from l2zoo.tasks import Classification
from l2zoo.training import fit
from tests.training.conftest import eager

Arrays = tuple[np.ndarray, np.ndarray]
Build = Callable[..., keras.Model]
CROSS_ENTROPY = "sparse_categorical_crossentropy"


@pytest.fixture(scope="module")
def linear_data() -> Arrays:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, 3)).astype("float32")
    return x, x @ np.array([1.0, -2.0, 0.5], "float32")


def linear(l2: float = 0.0, **settings: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="dense")])
    return eager(L2Policy(l2).apply(model), **settings)


class Dies(keras.callbacks.Callback):
    """Ends the training at the beginning of an epoch."""

    def __init__(self, epoch: int | None):
        super().__init__()
        self.fatal = epoch

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if epoch == self.fatal:
            raise RuntimeError("the end")


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_run_that_died_goes_on_and_ends_with_the_same_numbers(
    tiny: Build, train: Arrays, held_out: Arrays, tmp_path: Path
) -> None:
    def run(name: str, seed: int, *callbacks: keras.callbacks.Callback) -> keras.callbacks.History:
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 21))
        return fit(
            tiny(seed), train, validation=held_out, epochs=3, l2=1e-2, optimizer=optimizer,
            run_dir=tmp_path / name, callbacks=callbacks, verbose=0,
        )  # fmt: skip

    whole = run("whole", 0).history
    for seed, dies in ((0, 0), (1, 2)):
        with pytest.raises(RuntimeError, match="the end"):
            run("dying", seed, Dies(dies))
    resumed = run("dying", 2)
    assert resumed.epoch == [0, 1, 2]
    for name, values in whole.items():
        np.testing.assert_allclose(resumed.history[name], values, atol=1e-6, rtol=0, err_msg=name)
    for loss, data_loss, penalty in zip(
        whole["val_loss"], whole["val_data_loss"], whole["l2_penalty"], strict=True
    ):
        assert loss == pytest.approx(data_loss + penalty, abs=1e-6)
        assert penalty > 0.1


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_averaged_weights_are_those_of_the_end_also_of_a_run_that_was_killed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)).astype("float32"), rng.normal(size=(40, 2)).astype("float32")

    def two(seed: int = 0) -> keras.Model:
        keras.utils.set_random_seed(seed)
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])

    def run(name: str, *, seed: int = 0, dies: int | None = None, epochs: int = 3) -> Any:
        model = two(seed)
        if keras.backend.backend() == "tensorflow":
            eager(model)
        after: list[list[np.ndarray]] = []

        class Recalls(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
                getattr(self.model, "jax_state_sync", lambda: None)()
                after.append(self.model.get_weights())

        fit(
            model, (x, y), epochs=epochs, batch_size=20, l2=1e-3, loss="mse",
            optimizer=keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8),
            run_dir=tmp_path / name, callbacks=[Dies(dies), Recalls()], verbose=0,
        )  # fmt: skip
        return model.get_weights(), after

    def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)

    whole, steps = run("whole")
    average = steps[0]
    for weights in steps[1:]:
        average = [0.8 * mean + 0.2 * new for mean, new in zip(average, weights, strict=True)]
    assert len(steps) == 6
    assert_same(whole, average)
    with pytest.raises(RuntimeError, match="the end"):
        run("killed", dies=2)
    assert_same(run("killed", seed=9)[0], whole)  # goes on
    assert_same(run("killed", seed=9)[0], whole)  # is finished
    last = two()
    last.load_weights(tmp_path / "whole" / "last.weights.h5")
    assert_same(last.get_weights(), whole)
    # A run that is prolonged goes on from the weights, not from their average.
    assert_same(run("whole", epochs=4)[0], run("long", epochs=4)[0])


@pytest.mark.slow
def test_a_finished_run_is_given_back_without_training_and_can_be_prolonged(
    quick: Build, train: Arrays, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    first_model = quick(0)
    first = fit(first_model, train, epochs=2, l2=1e-3, run_dir=folder, verbose=0).history
    model = quick(1)
    again = fit(model, train, epochs=2, l2=1e-3, run_dir=folder, callbacks=[Dies(0), Dies(1)], verbose=0)
    assert again.history == first
    for mine, its in zip(model.get_weights(), first_model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
    longer = fit(quick(2), train, epochs=3, l2=1e-3, run_dir=folder, verbose=0).history
    assert longer["loss"][:2] == first["loss"]
    assert len(longer["loss"]) == 3
    with pytest.raises(
        ValueError, match=r"`epochs` must be at least the 3 that the run in .* has done, got epochs=2"
    ):
        fit(quick(0), train, epochs=2, l2=1e-3, run_dir=folder, verbose=0)


def test_a_second_training_in_the_folder_is_refused_while_the_first_runs(
    quick: Build, train: Arrays, tmp_path: Path
) -> None:
    folder, refusals = tmp_path / "run", []

    class Intruder(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            for resume in (True, False):
                with pytest.raises(ValueError, match="`run_dir` belongs to another process now") as refusal:
                    fit(quick(1), train, epochs=2, seed=1, run_dir=folder, resume=resume, verbose=0)
                refusals.append(str(refusal.value))
            assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before

    fit(quick(0), train, epochs=1, run_dir=folder, callbacks=[Intruder()], verbose=0)
    assert len(refusals) == 2
    assert f"held by process {os.getpid()} on " in refusals[0]
    assert "Wait for it to end, or choose another folder" in refusals[0]
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be_written_is_refused_before_anything_else(
    quick: Build, train: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match=r"`run_dir` cannot be written .File name too long"):
        fit(quick(0), train, epochs=1, run_dir=tmp_path / ("x" * 300), verbose=0)
    with pytest.raises(OSError, match=r"`run_dir` cannot be written .paths of files in it would be longer"):
        fit(quick(0), train, epochs=1, run_dir=tmp_path.joinpath(*["x" * 200] * 19, "x" * 100), verbose=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(OSError, match=r"`run_dir` cannot be written .* MB are free.*make room"):
        fit(quick(0), train, epochs=1, run_dir=tmp_path / "run", verbose=0)
    assert list(tmp_path.iterdir()) == []


def test_another_run_in_the_folder_is_refused_with_what_differs(
    quick: Build, train: Arrays, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError):
        fit(quick(0), train, epochs=1, l2=1e-3, run_dir=folder, callbacks=[Dies(0)], verbose=0)
    other = (train[0], np.roll(train[1], 1))
    with pytest.raises(ValueError, match="holds another run") as refusal:
        fit(
            quick(0),
            other,
            epochs=1,
            l2=1e-2,
            run_dir=folder,
            batch_size=16,
            seed=3,
            optimizer="sgd",
            verbose=0,
        )
    for words in (
        'l2 was "2 weights at l2=0.001, l1=0" and is now "2 weights at l2=0.01, l1=0"',
        "data.checksum was",
        "batch_size was 32 and is now 16",
        "seed was 0 and is now 3",
        'optimizer.class was "Adam" and is now "SGD"',
        "resume=False",
    ):
        assert words in str(refusal.value)
    assert "accuracy" not in str(refusal.value)
    history = fit(quick(0), other, epochs=1, l2=1e-2, run_dir=folder, resume=False, verbose=0)
    assert history.epoch == [0]


def test_the_folder_says_what_was_run(
    quick: Build, tiny: Build, train: Arrays, held_out: Arrays, tmp_path: Path
) -> None:
    folder = tmp_path / "deep" / "run"
    model = quick(0)
    history = fit(model, train, validation=held_out, epochs=2, l2=1e-2, run_dir=folder, verbose=0).history
    names = {path.name for path in folder.iterdir()}
    files = {"config.json", "metrics.csv", "state.npz", "best.weights.h5", "last.weights.h5"}
    assert names == files | {"train", "validation"}
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"]["model"]["parameters"] == 64 * 16 + 16 + 4 * 16 + 16 * 10 + 10
    assert config["settings"]["optimizer"]["class"] == "Adam"
    assert config["about"]["l2"].startswith("l2: 2 kernels at 0.01")
    assert config["about"]["versions"]["keras"] == keras.__version__
    lines = (folder / "metrics.csv").read_text().splitlines()
    assert lines[0] == "epoch,loss,data_loss,l2_penalty,val_loss,val_data_loss,accuracy,val_accuracy"
    assert [float(line.split(",")[2]) for line in lines[1:]] == history["data_loss"]
    last, best = tiny(5), tiny(6)
    last.load_weights(folder / "last.weights.h5")
    for mine, its in zip(last.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
    best.load_weights(folder / "best.weights.h5")
    eager(best, loss=CROSS_ENTROPY)
    assert best.evaluate(*held_out, verbose=0) == pytest.approx(min(history["val_data_loss"]), abs=1e-5)


def test_nothing_is_written_without_a_folder(
    quick: Build, train: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fit(quick(0), train, epochs=1, verbose=0)
    assert not list(tmp_path.iterdir())


def test_a_compiled_model_keeps_its_optimizer_and_metrics_and_is_left_as_it_was(
    linear_data: Arrays, tmp_path: Path
) -> None:
    def largest_error(y_true: Any, y_pred: Any) -> Any:
        return keras.ops.max(keras.ops.abs(y_true - y_pred), axis=-1)

    model = linear(1e-2)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    mae = keras.metrics.MeanAbsoluteError(name="mae")
    eager(model, optimizer=optimizer, loss="mse", metrics=[largest_error, mae])
    history = fit(model, linear_data, epochs=2, verbose=0).history
    assert set(history) == {"loss", "data_loss", "l2_penalty", "largest_error", "mae"}
    assert model.optimizer is optimizer
    assert int(optimizer.iterations) == 4  # 40 examples are two steps of 32
    assert set(model.evaluate(*linear_data, verbose=0, return_dict=True)) == {"loss", "largest_error", "mae"}
    fit(model, linear_data, epochs=2, verbose=0)
    assert int(optimizer.iterations) == 8

    plain = linear(1e-2)
    eager(plain, optimizer="sgd", loss="mse")
    saver = keras.callbacks.ModelCheckpoint(str(tmp_path / "model.keras"))
    fit(plain, linear_data, epochs=1, callbacks=[saver], verbose=0)
    assert isinstance(plain.evaluate(*linear_data, verbose=0), float)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.evaluate(*linear_data, verbose=0), float)


def test_what_is_given_takes_the_place_of_what_the_model_was_compiled_with(linear_data: Arrays) -> None:
    model = linear(optimizer="sgd", loss="mse", metrics=["mae"])
    history = fit(model, linear_data, epochs=1, optimizer="adam", verbose=0).history
    assert type(model.optimizer).__name__ == "Adam"
    assert set(history) == {"loss", "data_loss", "l2_penalty", "mae"}


def test_a_decoupled_policy_decays_the_weights_and_leaves_the_loss_alone(linear_data: Arrays) -> None:
    model = linear()
    history = fit(
        model, linear_data, epochs=1, loss="mse", optimizer=keras.optimizers.SGD(0.1),
        l2=L2Policy(1e-2, decoupled=True), verbose=0,
    ).history  # fmt: skip
    assert model.optimizer.weight_decay == 1e-2
    assert history["l2_penalty"] == [0.0]
    assert history["loss"] == pytest.approx(history["data_loss"], abs=1e-7)


def test_image_data_and_arrays_train_the_same(quick: Build, train: Arrays, held_out: Arrays) -> None:
    results = [
        fit(quick(0), data, validation=validation, epochs=2, l2=1e-3, seed=4, verbose=0).history
        for data, validation in ((train, held_out), (load(train), load(held_out)))
    ]
    assert results[0] == results[1]


def test_the_seed_decides_the_order(linear_data: Arrays) -> None:
    def run(seed: int) -> list[float]:
        model = linear()
        model.set_weights([np.zeros((3, 1)), np.zeros(1)])
        optimizer = keras.optimizers.SGD(0.1)
        return fit(
            model, linear_data, epochs=2, seed=seed, loss="mse", optimizer=optimizer, verbose=0
        ).history["loss"]

    assert run(0) == run(0) != run(1)


def frozen() -> keras.Model:
    model = linear(1e-3)
    model.trainable = False
    return model


def silent() -> keras.Model:
    model = linear()
    model.layers[0].kernel_regularizer = keras.regularizers.L2(1e-3)
    return model


@pytest.mark.parametrize(
    ("model", "l2", "words"),
    [
        (frozen, None, "all 1 weights that carry one are frozen. Unfreeze them"),
        (silent, None, r"it is set on the layers of \['.*dense/kernel'\], not on the weights.*L2Policy"),
        (linear, L2Policy(1e-3, multipliers={"kernel": 0}), "gives every weight the factor 0"),
    ],
)
def test_a_penalty_that_reaches_no_loss_is_refused(
    model: Callable[[], keras.Model], l2: L2Policy | None, words: str, linear_data: Arrays
) -> None:
    with pytest.raises(ValueError, match=f"none reaches its loss: .*{words}"):
        fit(model(), linear_data, epochs=1, l2=l2, loss="mse", verbose=0)


def test_a_penalty_that_reaches_some_weights_only_is_a_warning(linear_data: Arrays) -> None:
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, name="one"), keras.layers.Dense(1, name="two")]
    )
    L2Policy(1e-3, overrides={"*two/kernel": 0}).apply(model)
    eager(model).layers[1].kernel_regularizer = keras.regularizers.L2(1e-3)
    with pytest.warns(UserWarning, match=r"train without the penalty of their layer: \['.*two/kernel'\]"):
        fit(model, linear_data, epochs=1, loss="mse", verbose=0)


def test_a_policy_of_strength_zero_trains_without_a_penalty(linear_data: Arrays) -> None:
    history = fit(linear(), linear_data, epochs=1, l2=0.0, loss="mse", verbose=0).history
    assert history["l2_penalty"] == [0.0]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"epochs": 0}, ValueError, "`epochs` must be a whole number >= 1, got epochs=0"),
        ({"epochs": 1.5}, TypeError, "`epochs` must be a whole number >= 1, got epochs=1.5"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be a whole number >= 1"),
        ({"data": "mnist"}, TypeError, "`data` must be arrays .* an ImageData .* got str"),
        ({"data": (np.zeros((0, 8, 8, 1)), np.zeros(0))}, ValueError, r"`data\[0\]` must hold examples"),
        (
            {"data": (np.zeros((3, 8, 8, 1)), np.zeros(2, int))},
            ValueError,
            r"data\[0\] has 3, data\[1\] has 2",
        ),
        ({"data": (np.full((3, 8, 8, 1), np.nan), np.zeros(3, int))}, ValueError, "example 0 holds NaN"),
        (
            {"data": (np.zeros((3, 8, 8, 1)), np.array([0, 10, 1]))},
            ValueError,
            r"Labels in `data` must be in \[0, 10\), as the model has 10 outputs, got y\[1\]=10",
        ),
        (
            {"validation": (np.zeros((3, 8, 8, 1)), np.array([0, -1, 1]))},
            ValueError,
            r"Labels in `validation` must be in \[0, 10\).*got y\[1\]=-1",
        ),
        (
            {"data": load((np.zeros((20, 8, 8, 1)), np.arange(20) % 20))},
            ValueError,
            "`data` has 20 classes, but the model has 10 outputs. Build it with num_classes=20",
        ),
        (
            {"validation": (np.zeros((3, 4, 8, 1)), np.zeros(3, int))},
            ValueError,
            r"`validation` must have inputs like .* of shape \(8, 8, 1\) without the batch, got \(4, 8, 1\)",
        ),
        ({"run_dir": __file__}, ValueError, "`run_dir` must be a folder, got the file"),
        ({"l2": "l2"}, TypeError, "`l2` must be a number"),
    ],
)
def test_bad_input_is_refused_before_training(
    quick: Build, train: Arrays, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        fit(quick(0), **{"data": train, "epochs": 1, "verbose": 0, **change})


def test_a_dataset_without_end_is_refused(linear_data: Arrays) -> None:
    import tensorflow as tf

    endless = tf.data.Dataset.from_tensor_slices(linear_data).batch(8).repeat()
    with pytest.raises(ValueError, match="got one that never ends: give it without repeat"):
        fit(linear(), endless, epochs=1, loss="mse", verbose=0)


@pytest.mark.filterwarnings("ignore:.*PyDataset.*:UserWarning")
def test_datasets_of_the_caller_s_own_are_trained_on(linear_data: Arrays) -> None:
    import tensorflow as tf

    class Own(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int) -> Arrays:
            return tuple(part[index * 8 : index * 8 + 8] for part in linear_data)

    losses = []
    batches = tf.data.Dataset.from_tensor_slices(linear_data).batch(8)
    for data, others in ((Own(workers=1), Own(workers=1)), (batches, batches.take(5))):
        model = linear()
        model.set_weights([np.zeros((3, 1)), np.zeros(1)])
        history = fit(model, data, validation=others, epochs=2, loss="mse", optimizer="sgd", verbose=0)
        losses.append(history.history["val_data_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert math.isfinite(losses[0][-1])


def test_the_training_data_do_not_validate(quick: Build, train: Arrays, held_out: Arrays) -> None:
    import tensorflow as tf

    images = load(train)
    batches = tf.data.Dataset.from_tensor_slices(train).batch(8)
    for data in (train, images, Classification(images.class_names).prepared(images), batches):
        with pytest.raises(ValueError, match="`validation` must hold other examples than `data`"):
            fit(quick(0), data, validation=data, epochs=1, verbose=0)
    some = tuple(
        np.concatenate(parts) for parts in zip(held_out, (train[0][3:5], train[1][3:5]), strict=True)
    )
    for data in (train, images):
        with pytest.raises(ValueError, match=r"2 of the 22 .* \(the first: validation\[20\] is data\[3\]\)"):
            fit(quick(0), data, validation=(some[0].astype("float32"), some[1]), epochs=1, verbose=0)
    ours = (np.eye(3), np.arange(3))  # numbers of which there are few are no images: they may be equal
    softmax = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation="softmax")])
    fit(softmax, ours, validation=(np.eye(3), np.arange(3)), epochs=1, verbose=0)


def test_grey_images_for_a_colour_model_are_refused_with_both_ways_out() -> None:
    x, y = np.zeros((4, 8, 8, 1), "uint8"), np.zeros(4, "int64")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    message = r"got \(8, 8, 1\), grey images for a colour model\. Repeat .* input_shape=\(8, 8, 1\)"
    with pytest.raises(ValueError, match=message):
        fit(model, load((x, y)), epochs=1, loss=CROSS_ENTROPY)
    with pytest.raises(ValueError, match=r"shape \(8, 8, 3\), got \(8, 9, 3\)\. Resize them"):
        fit(model, load((np.zeros((4, 8, 9, 3), "uint8"), y)), epochs=1, loss=CROSS_ENTROPY)
