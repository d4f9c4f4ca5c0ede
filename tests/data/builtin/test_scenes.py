from __future__ import annotations

import itertools

import numpy as np
import pytest

from l2zoo.data.builtin import scenes
from l2zoo.data.builtin.digits import digit_images, split_positions


@pytest.fixture(scope="module", params=["train", "test"])
def some(request) -> list[scenes.Scene]:
    return list(scenes.scenes(request.param, count=60))


def test_boxes_enclose_what_can_be_seen_of_each_digit_and_nothing_else(some):
    for scene in some:
        assert len(scene.boxes_xyxy) == len(scene.labels) == scene.instances.max() >= 1
        for number, (left, top, right, bottom) in enumerate(scene.boxes_xyxy, start=1):
            mask = scene.instances == number
            inside = np.zeros_like(mask)
            inside[top:bottom, left:right] = True
            assert not (mask & ~inside).any()
            for edge in (mask[top, :], mask[bottom - 1, :], mask[:, left], mask[:, right - 1]):
                assert edge.any()


def test_the_semantic_mask_has_one_more_than_the_digit(some):
    for scene in some:
        for number, label in enumerate(scene.labels, start=1):
            assert set(scene.semantic[scene.instances == number]) == {label + 1}
        assert set(scene.semantic[scene.instances == 0]) <= {0}


def test_digits_overlap_a_little_at_most_and_can_be_told_from_the_ground(some):
    for scene in some:
        for number in range(1, len(scene.labels) + 1):
            mask = scene.instances == number
            assert mask.sum() >= 15
    assert {len(scene.labels) for scene in some} == {1, 2, 3, 4}


def test_scenes_are_always_the_same_and_never_one_another():
    one, other = (list(scenes.scenes("train", count=5)) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.instances, b.instances)
    assert all(not np.array_equal(a.image, b.image) for a, b in itertools.combinations(one, 2))
    assert next(scenes.scenes("train", side=96)).image.shape == (96, 96, 3)


def test_train_and_test_share_neither_a_digit_nor_a_part_of_a_photograph():
    train, test = split_positions(digit_images()[1])
    assert not set(train) & set(test)
    from sklearn.datasets import load_sample_images

    for photograph, seen, held in zip(
        load_sample_images().images, scenes.backgrounds("train"), scenes.backgrounds("test"), strict=True
    ):
        width = photograph.shape[1]
        np.testing.assert_array_equal(photograph[:, : seen.shape[1]], seen)
        np.testing.assert_array_equal(photograph[:, width - held.shape[1] :], held)
        assert seen.shape[1] + held.shape[1] <= width - scenes.GAP


@pytest.mark.slow
def test_tfds_gives_what_was_made(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    monkeypatch.setattr(scenes, "EXAMPLES", {"train": 6, "test": 3})
    builder = scenes.L2zooScenes(data_dir=tmp_path, config="64")
    builder.download_and_prepare()
    found = list(tfds.as_numpy(builder.as_dataset("test")))
    assert len(found) == 3
    made = {scene.image.tobytes(): scene for scene in scenes.scenes("test", count=3)}
    for example in found:
        scene = made[example["image"].tobytes()]
        np.testing.assert_array_equal(example["objects"]["label"], scene.labels)
        boxes = example["objects"]["bbox"][:, [1, 0, 3, 2]] * 64
        np.testing.assert_allclose(boxes, scene.boxes_xyxy, atol=1e-4)
        np.testing.assert_array_equal(example["semantic_mask"][..., 0], scene.semantic)
        np.testing.assert_array_equal(example["instance_mask"][..., 0], scene.instances)
