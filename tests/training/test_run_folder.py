"""The files of a run, one by one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from l2zoo import L2Policy, Strength
from l2zoo.training import snapshot
from l2zoo.training.run_folder import UNKNOWN, RunFolder, append_logs
from l2zoo.training.snapshot import callback_state, changed_state, restore_callbacks

Build = Callable[..., keras.Model]


def compiled(model: keras.Model) -> keras.Model:
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model


def opened(path: Path, tiny: Build, settings: dict) -> RunFolder:
    """A folder with a state of no epochs in it."""
    folder = RunFolder(path)
    folder.open(settings, {}, resume=True)
    folder.start({})
    snapshot.save(folder.state, compiled(tiny(0)), progress={"epochs": 0})
    return folder


def test_settings_are_compared_in_depth_and_the_unknown_is_not(tiny: Build, tmp_path: Path) -> None:
    there = {"a": {"b": 1, "c": [1, 2]}, "rate": 0.1}
    opened(tmp_path, tiny, there)
    assert RunFolder(tmp_path).open({**there, "rate": UNKNOWN}, {}, resume=True)
    with pytest.raises(
        ValueError, match=r"a\.b was 1 and is now 2; a\.d was null and is now 3\. Use another"
    ):
        RunFolder(tmp_path).open({"a": {"b": 2, "c": [1, 2], "d": 3}, "rate": 0.1}, {}, resume=True)


def test_the_unknown_does_not_take_the_place_of_what_was_known(tiny: Build, tmp_path: Path) -> None:
    opened(tmp_path, tiny, {"rate": 0.1})
    folder = RunFolder(tmp_path)
    folder.open({"rate": UNKNOWN}, {}, resume=True)
    folder.start({})
    assert json.loads((tmp_path / "config.json").read_text())["settings"] == {"rate": 0.1}


def test_a_refused_run_changes_nothing(tiny: Build, tmp_path: Path) -> None:
    opened(tmp_path, tiny, {"seed": 0})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="another run"):
        RunFolder(tmp_path).open({"seed": 1}, {}, resume=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["state.npz", "config.json"])
def test_a_damaged_file_is_refused_with_the_next_step(name: str, tiny: Build, tmp_path: Path) -> None:
    opened(tmp_path, tiny, {})
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"(cannot be read|no readable).*resume=False"):
        RunFolder(tmp_path).open({}, {}, resume=True)
    assert RunFolder(tmp_path).open({}, {}, resume=False) is None


def test_starting_over_deletes_the_run_and_nothing_else(tiny: Build, tmp_path: Path) -> None:
    opened(tmp_path, tiny, {}).log({"loss": [1.0], "val_loss": [2.0]})
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "train" / "notes.txt").write_text("mine")
    RunFolder(tmp_path).open({}, {}, resume=False)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["notes.txt", "notes.txt", "train"]


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize(
    "name", ["train/cat.png", "validation/cat.png", "config.json", "metrics.csv", "state.npz"]
)
def test_a_folder_of_something_else_is_refused_and_stays(name: str, resume: bool, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('{"settings": null}')
    with pytest.raises(ValueError, match=r"`run_dir` holds .*not known as a run's.*Choose another folder"):
        RunFolder(tmp_path).open({}, {}, resume=resume)
    assert (tmp_path / name).read_text() == '{"settings": null}'


def test_nothing_is_deleted_through_a_link(tiny: Build, tmp_path: Path) -> None:
    opened(tmp_path / "run", tiny, {})
    (tmp_path / "events.out.tfevents.1").write_text("mine")
    (tmp_path / "run" / "train").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="`run_dir` holds train, which"):
        RunFolder(tmp_path / "run").open({}, {}, resume=False)
    assert (tmp_path / "events.out.tfevents.1").read_text() == "mine"


def test_a_quantity_that_some_epochs_lack_is_empty_there(tmp_path: Path) -> None:
    history: dict[str, list[float]] = {}
    append_logs(history, {"loss": 1.0})
    append_logs(history, {"loss": 0.5, "rate": 0.1})
    append_logs(history, {"loss": 0.25})
    assert history["loss"] == [1.0, 0.5, 0.25]
    assert math.isnan(history["rate"][0])
    assert math.isnan(history["rate"][2])
    folder = RunFolder(tmp_path)
    folder.start(history)
    folder.close()
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "epoch,loss,rate",
        "0,1.0,",
        "1,0.5,0.1",
        "2,0.25,",
    ]


@pytest.mark.backends
def test_a_state_brings_back_weights_optimizer_and_strength(tiny: Build, tmp_path: Path) -> None:
    strength = Strength(0.5)
    model = L2Policy(strength).apply(compiled(tiny(0)))
    snapshot.save(tmp_path / "state.npz", model, progress={"epochs": 3})
    other_strength = Strength(0.1)
    other = L2Policy(other_strength).apply(compiled(tiny(1)))
    found = snapshot.Snapshot(tmp_path / "state.npz")
    found.restore(other)
    assert found.progress == {"epochs": 3}
    assert other_strength.value == 0.5
    mine, its = ([*m.variables, *m.optimizer.variables] for m in (model, other))
    for one, two in zip(mine, its, strict=True):
        np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(v.value) for v in (one, two)))


def test_a_state_holds_bfloat16_exactly(tmp_path: Path) -> None:
    def build() -> keras.Model:
        return compiled(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="bfloat16")]))

    model, other = build(), build()
    snapshot.save(tmp_path / "state.npz", model, progress={})
    snapshot.Snapshot(tmp_path / "state.npz").restore(other)
    assert keras.backend.standardize_dtype(other.weights[0].dtype) == "bfloat16"
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


def test_a_state_of_another_structure_is_refused(tiny: Build, tmp_path: Path) -> None:
    snapshot.save(tmp_path / "state.npz", compiled(tiny(0)), progress={})
    other = compiled(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    with pytest.raises(ValueError, match=r"do not fit .* Start over with resume=False"):
        snapshot.Snapshot(tmp_path / "state.npz").restore(other)


def test_callbacks_are_reminded_of_what_they_learned_and_keep_new_settings() -> None:
    class Patient(keras.callbacks.Callback):
        def __init__(self, patience: int):
            super().__init__()
            self.patience, self.wait, self.best = patience, 0, None
            self.best_weights: list[np.ndarray] | None = None

    old = Patient(3)
    before = callback_state(old)
    old.wait, old.best, old.best_weights = 2, np.float32(0.5), [np.ones(2), np.zeros(3)]
    memory = changed_state(old, before)
    assert set(memory) == {"wait", "best", "best_weights"}
    new = Patient(5)
    restore_callbacks([new], [("Patient", memory)])
    assert (new.patience, new.wait, new.best) == (5, 2, 0.5)
    np.testing.assert_array_equal(new.best_weights[0], np.ones(2))
    other = Patient(5)
    restore_callbacks([other], [("Impatient", memory)])
    assert other.wait == 0
