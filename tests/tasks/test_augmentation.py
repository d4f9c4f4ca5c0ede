from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from l2zoo.tasks.augmentation import AUGMENTATIONS, Augmentation, augmentation

B, H, W, K = 6, 32, 48, 3
LEFT, TOP, RIGHT, BOTTOM = 20, 10, 32, 22  # of the bright rectangle; no shift or zoom moves it to an edge
EXACT = {"dtype": "float32", "bounding_box_format": "xyxy"}
EVERY_NAME = [name for name in AUGMENTATIONS if name != "none"]
QUICK = [name for name in EVERY_NAME if name != "rand_augment"]  # its graph takes JAX many seconds


def fresh(names: str, task: str = "classification") -> Augmentation:
    made = augmentation(names, task=task, image_shape=(H, W, 3))
    assert made is not None
    return made


named = functools.cache(fresh)  # a graph for every name, not for every test


def noise(batch: int = B) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, H, W, 3), "uint8")


def rectangle() -> np.ndarray:
    """Black images with a white rectangle."""
    images = np.zeros((B, H, W, 3), "float32")
    images[:, TOP:BOTTOM, LEFT:RIGHT] = 255
    return images


def its_masks() -> np.ndarray:
    """Class 1 where the rectangle is, else class 0."""
    return np.eye(K, dtype="float32")[(rectangle()[..., 0] > 0).astype(int)]


def its_boxes() -> dict[str, np.ndarray]:
    """The rectangle's box between two that are padding."""
    boxes = np.zeros((B, 3, 4), "float32")
    boxes[:, 1] = LEFT, TOP, RIGHT, BOTTOM
    return {"boxes_xyxy": boxes, "labels": np.tile(np.array([-1, 7, -1]), (B, 1))}


def one_hot(batch: int = B, classes: int = B) -> np.ndarray:
    return np.eye(classes, dtype="float32")[np.arange(batch) % classes]


def applied(to: Augmentation, images: Any, targets: Any, seed: tuple[int, int] = (3, 5)) -> Any:
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), to(images, targets, seed))


def extent(bright: np.ndarray) -> list[int]:
    """Left, top, right and bottom of the pixels `(H, W)` that are true."""
    y, x = np.nonzero(bright)
    return [x.min(), y.min(), x.max() + 1, y.max() + 1]


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_flip_exchanges_left_and_right_of_pixels_boxes_and_masks():
    flip = named("flip", "detection")
    for targets in (its_boxes(), its_masks()):
        images, after = applied(flip, rectangle(), targets)
        flipped = images[:, TOP, LEFT - 8, 0] == 0  # where nothing was
        flipped &= images[:, TOP, W - RIGHT, 0] == 255
        assert 0 < flipped.sum() < B
        expected = np.where(flipped[:, None, None, None], rectangle()[:, :, ::-1], rectangle())
        np.testing.assert_array_equal(images, expected)
        if isinstance(targets, dict):
            here, there = [LEFT, TOP, RIGHT, BOTTOM], [W - RIGHT, TOP, W - LEFT, BOTTOM]
            np.testing.assert_allclose(
                after["boxes_xyxy"][:, 1], np.where(flipped[:, None], there, here), atol=1e-4
            )
        else:
            np.testing.assert_array_equal(after[..., 1] == 1, images[..., 0] == 255)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.parametrize("names", ["flip", "shift", "zoom", "flip+shift+zoom"])
def test_boxes_and_masks_are_where_the_bright_pixels_are(names):
    augmented = named(names, "detection")
    for batch in range(3):
        images, boxes = applied(augmented, rectangle(), its_boxes(), (0, batch))
        same, masks = applied(augmented, rectangle(), its_masks(), (0, batch))
        np.testing.assert_allclose(same, images, atol=1e-2)  # targets of another kind, the same pixels
        bright = images[..., 0] > 127
        assert (bright != (rectangle()[..., 0] > 0)).any()
        found = [extent(image) for image in bright]
        np.testing.assert_allclose(boxes["boxes_xyxy"][:, 1], found, atol=1)
        np.testing.assert_array_equal(boxes["labels"], its_boxes()["labels"])
        assert np.mean((masks[..., 1] == 1) != bright) < (0.002 if "zoom" in names else 1e-9)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_colors_leave_boxes_and_masks_where_they_are():
    color = named("color", "segmentation")
    for targets in (its_boxes(), its_masks()):
        images, after = applied(color, noise(), targets)
        assert not np.allclose(images, noise(), atol=5)
        tf.nest.map_structure(np.testing.assert_array_equal, after, targets)


@pytest.mark.slow
def test_masks_follow_the_pixels_of_rand_augment():
    randomly = named("rand_augment", "segmentation")
    seen = 0
    for batch in range(12):
        images, masks = applied(randomly, rectangle(), its_masks(), (0, batch))
        assert set(np.unique(masks)) <= {0.0, 1.0}
        for grey, mask in zip(images.mean(axis=-1), masks[..., 1], strict=True):
            if grey.std() > 10 and mask.std() > 0.1:  # colours may be drawn together, or inverted
                seen += 1
                assert abs(np.corrcoef(grey.ravel(), mask.ravel())[0, 1]) > 0.8
    assert seen > 20


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_shift_moves_by_whole_pixels_of_at_most_an_eighth_and_both_ways_on_its_own():
    images, _ = applied(named("shift"), rectangle(), one_hot())
    moves = np.array([extent(image[..., 0] > 0) for image in images])[:, :2] - [LEFT, TOP]
    assert set(np.unique(images)) == {0.0, 255.0}
    assert (np.abs(moves) <= [W / 8, H / 8]).all()
    assert len({tuple(move) for move in moves}) > B / 2
    assert np.abs(np.corrcoef(moves.T)[0, 1]) < 0.99


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_mixed_up_pixels_are_mixed_by_the_weights_in_the_labels():
    shades = np.linspace(10, 240, B, dtype="float32")
    images = np.broadcast_to(shades[:, None, None, None], (B, H, W, 3))
    mixed, labels = applied(named("mixup"), images, one_hot())
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(mixed[:, 3, 4, 1], labels @ shades, rtol=1e-5)
    assert (labels.max(axis=1) < 0.99).any()


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_labels_of_cutmix_are_the_shares_of_the_pixels():
    shades = np.arange(B, dtype="float32")
    images = np.broadcast_to(shades[:, None, None, None], (B, H, W, 3))
    cutmix = named("cutmix")
    for batch in range(4):
        mixed, labels = applied(cutmix, images, one_hot(), (0, batch))
        shares = (mixed[..., :1] == shades).mean(axis=(1, 2))
        np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(labels, shares, atol=(H + W) / (H * W))  # Keras counts parts of pixels
        assert (shares.max(axis=1) < 1).any()


def test_half_of_the_images_lose_a_rectangle_and_keep_their_label():
    many, grey = 200, 7.0
    images = np.full((many, H, W, 3), grey, "float32")
    erased, labels = applied(named("erase"), images, one_hot(many))
    np.testing.assert_array_equal(labels, one_hot(many))
    gone = (erased != grey).any(axis=-1)  # (B, H, W)
    hit = gone.any(axis=(1, 2))
    assert 70 <= hit.sum() <= 130
    for one in gone[hit]:
        rows, columns = np.flatnonzero(one.any(axis=1)), np.flatnonzero(one.any(axis=0))
        inside = one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.mean() > 0.9  # of the noise a few pixels are as they were
        assert 0.01 < inside.size / (H * W) < 0.38  # parts of pixels are counted


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.parametrize("name", QUICK)
def test_a_seed_gives_the_same_batch_whatever_was_done_before(name):
    keras.utils.set_random_seed(1)
    first = applied(fresh(name), noise(), one_hot(), (3, 5))
    keras.utils.set_random_seed(2)
    other = fresh(name)
    others = [applied(other, noise(), one_hot(), seed) for seed in ((3, 6), (4, 5), (5, 3))]
    again = applied(other, noise(), one_hot(), (3, 5))
    for before, after in zip(first, again, strict=True):
        np.testing.assert_array_equal(before, after)
    for images, _ in others:
        assert not np.array_equal(images, first[0])


def test_rand_augment_too_is_decided_by_the_seed():
    randomly = named("rand_augment")
    batches = [applied(randomly, noise(), one_hot(), (3, number))[0] for number in range(4)]
    np.testing.assert_array_equal(applied(randomly, noise(), one_hot(), (3, 2))[0], batches[2])
    assert not np.array_equal(batches[0], batches[1])


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_parallel_pipeline_gives_what_single_calls_give_and_can_be_joined_in_the_middle():
    both = named("flip+shift+color", "detection")
    images, targets, sizes = noise(10), its_boxes(), (4, 4, 2)
    targets = {name: np.concatenate([part, part])[:10] for name, part in targets.items()}

    def batches(start: int) -> list:
        data = tf.data.Dataset.from_tensor_slices((images, targets)).batch(4).enumerate().skip(start)
        mapped = data.map(lambda n, batch: both(*batch, tf.stack([9, n])), num_parallel_calls=4)
        return list(mapped.as_numpy_iterator())

    whole = batches(0)
    for number, (size, (pixels, after)) in enumerate(zip(sizes, whole, strict=True)):
        part = slice(4 * number, 4 * number + size)
        mine = {name: value[part] for name, value in targets.items()}
        alone, its_targets = applied(both, images[part], mine, (9, number))
        assert len(pixels) == size
        np.testing.assert_allclose(pixels, alone, atol=1e-2)  # the pipeline's graph rounds otherwise
        np.testing.assert_allclose(after["boxes_xyxy"], its_targets["boxes_xyxy"], atol=1e-3)
        np.testing.assert_array_equal(after["labels"], its_targets["labels"])
    joined = batches(1)
    for (pixels, after), (same, so) in zip(whole[1:], joined, strict=True):
        np.testing.assert_array_equal(pixels, same)
        np.testing.assert_array_equal(after["boxes_xyxy"], so["boxes_xyxy"])


def test_every_layer_draws_for_itself():
    flips = [keras.layers.RandomFlip("horizontal", dtype="float32") for _ in range(2)]
    images, _ = applied(Augmentation(flips), noise(), one_hot())
    assert not np.array_equal(images, noise())  # two equal flips would cancel


def test_a_layer_is_left_as_it_was():
    flip = keras.layers.RandomFlip("horizontal", seed=1)
    state = keras.ops.convert_to_numpy(flip.generator.state.value)
    applied(Augmentation([flip]), noise(), one_hot())
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(flip.generator.state.value), state)
    assert flip._get_seed_generator() is flip.generator


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_box_that_is_pushed_out_becomes_padding():
    shift = Augmentation([keras.layers.RandomTranslation((0.5, 0.5), (0.5, 0.5), "constant", **EXACT)])
    boxes = np.array(
        [[[2, 2, 6, 6], [30, 2, 40, 8], [0, 0, 0, 0], [4, 6, 12, 26], [4, 15, 12, 27]]], "float32"
    )
    labels = np.array([[4, 1, -1, 2, 3]])  # moved by 24 to the right and 16 down, in an image of 48 x 32
    _, after = applied(shift, noise(1), {"boxes_xyxy": boxes, "labels": labels})
    expected = [[26, 18, 30, 22], [0] * 4, [0] * 4, [28, 22, 36, 32], [0] * 4]
    np.testing.assert_array_equal(after["boxes_xyxy"][0], expected)
    np.testing.assert_array_equal(after["labels"], [[4, -1, -1, 2, -1]])
    assert after["labels"].dtype == np.int64


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.parametrize("names", ["flip", "shift", "flip,shift,zoom"])
def test_padding_stays_padding(names):
    _, after = applied(named(names, "detection"), rectangle(), its_boxes())
    np.testing.assert_array_equal(after["boxes_xyxy"][:, ::2], 0)
    np.testing.assert_array_equal(after["labels"][:, ::2], -1)


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.parametrize("fill", [0.0, 128.0])
def test_pixels_that_are_not_labelled_stay_so_and_those_that_come_in_are(fill):
    shift = keras.layers.RandomTranslation((0, 0), (0.25, 0.25), "constant", fill_value=fill, **EXACT)
    masks = its_masks()
    masks[:, :, : LEFT + 2] = 0
    images, after = applied(Augmentation([shift]), rectangle(), masks)
    np.testing.assert_array_equal(after[:, :, 12:], masks[:, :, :-12])  # a quarter of 48
    np.testing.assert_array_equal(after[:, :, :12], 0)
    np.testing.assert_array_equal(images[:, :, :12], fill)


@pytest.mark.parametrize("name", EVERY_NAME)
def test_bytes_go_in_and_floats_in_the_range_of_pixels_come_out(name):
    images, labels = applied(named(name), noise(), one_hot())
    assert images.shape == (B, H, W, 3)
    assert images.dtype == labels.dtype == np.float32
    assert 0 <= images.min() < images.max() <= 255
    assert not np.array_equal(images, noise())


@pytest.mark.parametrize("names", ["flip", "shift", "zoom", "erase", "mixup", "cutmix"])
def test_grey_images_are_augmented_too(names):
    made = augmentation(names, task="classification", image_shape=(H, W, 1))
    images, _ = applied(made, noise()[..., :1], one_hot())
    assert images.shape == (B, H, W, 1)


def test_a_global_precision_of_16_bits_changes_nothing():
    expected = applied(fresh("color+shift"), noise(), one_hot())
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        got = applied(fresh("color+shift"), noise(), one_hot())
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(got[0], expected[0])


def test_nothing_is_asked_for_with_none():
    assert augmentation("none", task="detection", image_shape=(H, W, 3)) is None
    assert augmentation((), task="detection", image_shape=(H, W, 3)) is None


@pytest.mark.parametrize(
    ("names", "task", "channels", "message"),
    [
        ("flop", "classification", 3, "`names` must be one of .*'flip'.* got names='flop'"),
        ("none", "sorting", 3, "`task` must be one of .* got task='sorting'"),
        ("flip+flip", "classification", 3, "must be different ones"),
        (["none", "flip"], "classification", 3, "'none' alone"),
        ("color", "classification", 1, "needs images of 3 channels"),
        ("rand_augment", "segmentation", 4, "needs images of 3 channels"),
        ("mixup", "detection", 3, "'mixup' is not for boxes: .* joins boxes but not their labels"),
        ("flip+cutmix", "segmentation", 3, "'cutmix' is not for masks: .* the channels of images"),
        ("rand_augment", "detection", 3, "moves boxes in another order"),
        ("erase", "segmentation", 3, "'erase' is not for masks: .* what it hides would still be told"),
        ("erase", "detection", 3, "'erase' is not for boxes"),
    ],
)
def test_a_name_that_does_not_fit_is_an_error(names, task, channels, message):
    with pytest.raises(ValueError, match=message):
        augmentation(names, task=task, image_shape=(H, W, channels))


@pytest.mark.parametrize(
    ("layer", "targets", "message"),
    [
        (keras.layers.AugMix, one_hot(), "no seed repeats"),
        (keras.layers.RandomElasticTransform, its_masks(), "by other random numbers than pixels"),
        (keras.layers.RandomFlip, its_boxes(), "bounding_box_format='xyxy' for boxes, got RandomFlip"),
        (keras.layers.ContrastLimitedAdaptiveHistogramEqualization, one_hot(), "cannot transform labels"),
        (lambda: keras.layers.RandomCrop(8, 8), one_hot(), "must keep shapes, but RandomCrop makes"),
        (keras.layers.RandomFlip, np.arange(B), r"one-hot labels \(B, K\).* got shape=\(6,\)"),
        (keras.layers.RandomFlip, {"boxes": its_boxes()["boxes_xyxy"]}, r"got a dict of \['boxes'\]"),
    ],
)
def test_targets_that_a_layer_cannot_carry_are_an_error(layer, targets, message):
    with pytest.raises(ValueError, match=message):
        Augmentation([layer()])(noise(), targets, (0, 0))


def test_a_layer_must_be_one_for_images_and_in_full_precision():
    with pytest.raises(TypeError, match=r"must be Keras's image .* got Rescaling"):
        Augmentation([keras.layers.Rescaling(1 / 255)])
    with pytest.raises(
        ValueError, match="compute_dtype='float32', got RandomFlip with compute_dtype='float16'"
    ):
        Augmentation([keras.layers.RandomFlip(dtype="float16")])
