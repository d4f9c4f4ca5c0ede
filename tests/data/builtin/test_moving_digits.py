"""`l2zoo_moving_digits` moves scikit-learn's digits as Moving MNIST moves MNIST's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.ndimage

from l2zoo.data import load_video
from l2zoo.data.builtin import moving_digits
from l2zoo.data.builtin.digits import digit_images, split_positions


@pytest.fixture(scope="module", params=[32, 64])
def some(request) -> tuple[int, list[moving_digits.Clip]]:
    return request.param, list(moving_digits.clips("train", side=request.param, count=60))


def test_a_path_adds_the_velocity_and_turns_at_the_edges():
    found = moving_digits.trajectory(np.array([1.0, 5.0]), np.array([2.5, -1.5]), room=8, frames=7)
    down = [1, 3.5, 6, 7.5, 5, 2.5, 0]  # 8.5 is 0.5 behind the edge: 7.5
    across = [5, 3.5, 2, 0.5, 1, 2.5, 4]  # -1 is 1 behind the edge: 1
    np.testing.assert_allclose(found, np.transpose([down, across]))


def test_a_digit_between_pixels_is_interpolated_bilinearly():
    digit = np.random.default_rng(0).uniform(0, 255, (5, 5))
    places = np.array([[0, 0], [2, 3], [1.25, 2.75], [7, 0.5]])
    empty = np.zeros((12, 12))
    empty[:5, :5] = digit
    for place, frame in zip(places, moving_digits.draw(digit, places, 12), strict=True):
        expected = scipy.ndimage.shift(empty, place, order=1, mode="grid-constant")
        np.testing.assert_allclose(frame, expected, atol=1e-9)


def test_the_centre_of_mass_of_a_digit_moves_by_its_velocity():
    digit = np.random.default_rng(1).uniform(0, 255, (14, 14))
    velocity = np.array([0.7, -0.4])
    places = moving_digits.trajectory(np.array([1.0, 17.0]), velocity, room=18)  # 20 frames without an edge
    frames = moving_digits.draw(digit, places, 32)
    centres = np.array([scipy.ndimage.center_of_mass(frame) for frame in frames])
    np.testing.assert_allclose(np.diff(centres, axis=0), np.tile(velocity, (19, 1)), atol=1e-9)
    np.testing.assert_allclose(frames.sum((1, 2)), digit.sum())


def test_digits_stay_inside_and_keep_their_speed_between_bounces(some):
    side, clips = some
    bounces = 0
    for clip in clips:
        assert clip.places.shape == (2, 20, 2)
        assert clip.places.min() >= 0
        assert clip.places.max() <= side - side * 28 // 64
        for way in np.abs(np.diff(clip.places, axis=1)).transpose(0, 2, 1).reshape(4, 19):
            straight = np.isclose(way, way.max())
            bounces += (~straight).sum()
            assert straight.sum() >= 10
        speed = np.hypot(*np.abs(np.diff(clip.places, axis=1)).max(axis=1).T) / side
        assert (speed >= 0.03).all()
        assert (speed <= 0.08).all()
    assert bounces > 60  # edges are met: about once a clip and more


def test_a_frame_shows_the_brighter_of_two_digits_where_they_overlap(some):
    side, clips = some
    size = side * 28 // 64
    for clip in clips:
        assert (clip.video.shape, clip.video.dtype) == ((20, side, side, 1), np.uint8)
        covered = np.zeros((20, side, side), bool)
        for frame, place in itertools.product(range(20), clip.places):
            top, left = np.floor(place[frame]).astype(int)
            covered[frame, top : top + size + 1, left : left + size + 1] = True
        assert not clip.video[..., 0][~covered].any()
        assert clip.video.max() <= 255
        assert clip.video.max(axis=(1, 2, 3)).min() > 150  # each frame shows a digit


def test_overlapping_digits_take_the_maximum(monkeypatch):
    ramp = np.arange(64).reshape(1, 8, 8, 1).repeat(1797, 0).astype(np.uint8)
    monkeypatch.setattr(moving_digits, "digit_images", lambda: (ramp, digit_images()[1]))
    monkeypatch.setattr(
        moving_digits, "_places", lambda side, size, rng: np.array([[[0, 0]] * 20, [[0, 2]] * 20])
    )
    monkeypatch.setattr(moving_digits, "_enlarge", lambda digit, size: digit.astype(float))
    clip = next(moving_digits.clips("train", side=10))
    # The first row of one is 0 to 7 at the left; of the other, 0 to 7 two pixels further.
    np.testing.assert_array_equal(clip.video[0, 0, :, 0], [0, 1, 2, 3, 4, 5, 6, 7, 6, 7])


def test_clips_are_always_the_same_and_never_one_another():
    one, other = (list(moving_digits.clips("train", count=5)) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.video, b.video)
        np.testing.assert_array_equal(a.labels, b.labels)
    different = [*one, *moving_digits.clips("test", count=5)]
    assert all(not np.array_equal(a.video, b.video) for a, b in itertools.combinations(different, 2))


def test_a_clip_does_not_depend_on_those_before_it():
    whole = list(moving_digits.clips("test", count=4))
    np.testing.assert_array_equal(list(moving_digits.clips("test", count=2))[1].video, whole[1].video)


@pytest.mark.parametrize("split", ["train", "test"])
def test_digits_are_those_of_the_split(monkeypatch, split):
    # Each digit is a plain square that says by its brightness whether it is of the test part.
    _, labels = digit_images()
    held = np.zeros(1797, np.uint8)
    held[split_positions(labels)[1]] = 1
    plain = np.broadcast_to((100 + 100 * held)[:, None, None, None], (1797, 8, 8, 1)).astype(np.uint8)
    monkeypatch.setattr(moving_digits, "digit_images", lambda: (plain, labels))
    brightest = {int(clip.video.max()) for clip in moving_digits.clips(split, count=100)}
    assert max(brightest) <= (200 if split == "test" else 100)
    assert min(brightest) > (100 if split == "test" else 0)


def test_the_labels_are_those_of_the_digits(monkeypatch):
    _, labels = digit_images()
    plain = np.broadcast_to((20 * labels + 20)[:, None, None, None], (1797, 8, 8, 1)).astype(np.uint8)
    monkeypatch.setattr(moving_digits, "digit_images", lambda: (plain, labels))
    for clip in moving_digits.clips("train", count=40):
        # A place that is exact in pixels shows the square as it is; others fade at its rim only.
        assert clip.video.max() == 20 * clip.labels.max() + 20
        apart = np.abs(clip.places[0] - clip.places[1]).max(axis=1).argmax()
        shown = set(clip.video[apart].ravel().tolist())
        assert {20 * label + 20 for label in clip.labels.tolist()} <= shown


def test_tfds_gives_what_was_made(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    monkeypatch.setattr(moving_digits, "EXAMPLES", {"train": 8, "test": 3})
    builder = moving_digits.L2zooMovingDigits(data_dir=tmp_path)
    builder.download_and_prepare()
    made = {clip.video.tobytes(): clip.labels for clip in moving_digits.clips("train", count=8)}
    found = list(tfds.as_numpy(builder.as_dataset("train")))
    assert len(found) == 8
    for example in found:
        np.testing.assert_array_equal(example["labels"], made[example["video"].tobytes()])
    data = load_video("l2zoo_moving_digits", data_dir=tmp_path)
    assert {clip.tobytes() for clip in data.arrays()} == set(made)
    assert load_video("l2zoo_moving_digits/64", "test", data_dir=tmp_path).clip_shape == (20, 64, 64, 1)
