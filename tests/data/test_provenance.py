"""What is remembered of the data of a model: what they say of themselves, and nothing that is past."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from l2zoo.data import load, load_video, provenance
from l2zoo.data.prepared import Prepared


class Model:
    """Anything that can be remembered of."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mine") / "holiday"
    for name in ("sea", "wood"):
        (folder / "train" / name).mkdir(parents=True)
        Image.new("RGB", (6, 5), "red").save(folder / "train" / name / "a.png")
    return folder


def test_a_folder_is_known_by_its_name_classes_and_size_but_not_by_its_path(photos):
    found = provenance.provenance_of(load(f"folder:{photos}"))
    assert (found.class_names, found.shape, found.num_examples) == (("sea", "wood"), (5, 6, 3), 2)
    assert (found.task, found.split, found.parts) == ("classification", "train", (("train", 0, 2),))
    assert found.name == "the folder holiday"
    assert str(photos.parent) not in repr(found)


def test_what_a_task_makes_of_data_is_known_by_the_task_it_is_for(photos):
    data = load(f"folder:{photos}", task="generation")
    prepared = Prepared(data, lambda *parts: parts, {"task": "generation"})
    assert data.task == "classification"
    assert provenance.provenance_of(prepared).task == "generation"


def test_clips_have_no_classes():
    clips = load_video(np.zeros((3, 4, 6, 6, 1), np.uint8))
    found = provenance.provenance_of(clips)
    assert (found.task, found.class_names, found.shape) == ("video", (), (4, 6, 6, 1))


@pytest.mark.parametrize("other", [None, (np.zeros((2, 4, 4, 1)), np.arange(2)), [np.zeros(3)], "data"])
def test_training_on_what_says_nothing_of_itself_makes_forget(photos, other):
    model = Model()
    provenance.remember(model, load(f"folder:{photos}"))
    assert provenance.recall(model) is not None
    provenance.remember(model, other)
    assert provenance.recall(model) is None


def test_what_was_last_trained_on_is_remembered(photos):
    model = Model()
    provenance.remember(model, load(f"folder:{photos}"))
    provenance.remember(model, load((np.zeros((4, 8, 8)), np.arange(4))))
    assert provenance.recall(model).name == "arrays"


def test_a_model_is_not_kept_alive_by_what_is_known_of_it(photos):
    before = len(provenance._KNOWN)
    model = Model()
    provenance.remember(model, load(f"folder:{photos}"))
    assert len(provenance._KNOWN) == before + 1
    del model
    gc.collect()
    assert len(provenance._KNOWN) == before


def test_a_model_with_the_same_weights_takes_over_what_is_known_and_nothing_where_nothing_is(photos):
    model, derived = Model(), Model()
    assert provenance.hand_on(model, derived) is derived
    assert provenance.recall(derived) is None
    provenance.remember(model, load(f"folder:{photos}"))
    assert provenance.recall(provenance.hand_on(model, derived)) is provenance.recall(model)
