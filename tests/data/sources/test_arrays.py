"""Arrays with masks or boxes: brought to one form, scaled with their images, chosen and pickled whole."""

import pickle

import numpy as np
import pytest

from l2zoo.data import load

X = np.arange(5 * 8 * 10 * 3, dtype="uint8").reshape(5, 8, 10, 3)
RAGGED = {
    "boxes_xyxy": [
        np.array([[0, 0, 4, 4], [2, 1, 10, 8.5]]),
        np.zeros((0, 4)),
        [],
        [[1, 2, 3, 4]],
        [[5, 5, 6, 6]],
    ],
    "labels": [np.array([2, 0]), np.zeros(0, int), [], [1], [1]],
}


def masks():
    return np.repeat(np.arange(5), 80).reshape(5, 8, 10)


def test_masks_become_uint8_without_a_channel():
    data = load((X, masks()[..., None]), task="segmentation")
    assert (data.task, data.num_classes, data.class_names) == ("segmentation", 5, ("0", "1", "2", "3", "4"))
    y = data.arrays()[1]
    assert (y.dtype, y.shape) == (np.uint8, (5, 8, 10))
    same = y.copy()
    assert load((X, same), task="segmentation").arrays()[1] is same


def test_ragged_boxes_are_padded_and_overshoots_cut_off():
    data = load((X, RAGGED), task="detection")
    assert (data.task, data.num_classes) == ("detection", 3)
    y = data.arrays()[1]
    assert (y["boxes_xyxy"].dtype, y["labels"].dtype) == (np.float32, np.int64)
    assert y["boxes_xyxy"].tolist() == [
        [[0, 0, 4, 4], [2, 1, 10, 8]],
        [[0] * 4] * 2,
        [[0] * 4] * 2,
        [[1, 2, 3, 4], [0] * 4],
        [[5, 5, 6, 6], [0] * 4],
    ]
    assert y["labels"].tolist() == [[2, 0], [-1, -1], [-1, -1], [1, -1], [1, -1]]
    again = load((X, y), task="detection").arrays()[1]
    np.testing.assert_array_equal(again["boxes_xyxy"], y["boxes_xyxy"])


def test_a_box_halves_with_its_image():
    y = load((X, RAGGED), task="detection", image_size=(4, 20)).arrays()[1]
    assert y["boxes_xyxy"][3, 0].tolist() == [2, 1, 6, 2]  # 8x10 became 4x20


def test_boxes_and_labels_that_do_not_belong_together_are_named():
    with pytest.raises(ValueError, match=r"got \(1, 4\) and \(2,\) for image 3"):
        load((X, RAGGED | {"labels": [*RAGGED["labels"][:3], [1, 1], [1]]}), task="detection")
    with pytest.raises(ValueError, match="lists with an array for every image, got lengths 5 and 4"):
        load((X, RAGGED | {"labels": RAGGED["labels"][:4]}), task="detection")
    with pytest.raises(ValueError, match="no objects in `y`"):
        load((X, {"boxes_xyxy": [[]] * 5, "labels": [[]] * 5}), task="detection")
    with pytest.raises(ValueError, match="got a dict: boxes need task='detection'"):
        load((X, RAGGED))


@pytest.mark.parametrize(("task", "y"), [("segmentation", masks()), ("detection", RAGGED)])
def test_batches_limit_and_pickle_keep_image_and_target_together(task, y):
    data = load((X, y), task=task, limit=3, seed=2)
    everything = load((X, y), task=task).arrays()
    kept = [int(np.flatnonzero((image == X).all(axis=(1, 2, 3)))[0]) for image in data.arrays()[0]]
    assert kept == sorted(kept)
    copy = pickle.loads(pickle.dumps(data))
    assert copy.task == task
    for x, target in copy.batches(2, shuffle=True).as_numpy_iterator():
        for i, image in enumerate(x):
            place = int(np.flatnonzero((image == X).all(axis=(1, 2, 3)))[0])
            for part, whole in zip(leaves(target), leaves(everything[1]), strict=True):
                np.testing.assert_array_equal(part[i], whole[place])


def leaves(target):
    return [target[name] for name in sorted(target)] if isinstance(target, dict) else [target]


def test_the_task_and_its_noise_are_checked():
    with pytest.raises(ValueError, match=r"'multilabel'., got task='pose'"):
        load((X, masks()), task="pose")
    with pytest.raises(
        ValueError, match=r"`label_noise` must be 0 for task='segmentation', got label_noise=0.1"
    ):
        load((X, masks()), task="segmentation", label_noise=0.1)
    with pytest.raises(ValueError, match="at most the 5 examples there are, got limit=6"):
        load((X, masks()), task="segmentation", limit=6)
