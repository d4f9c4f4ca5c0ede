"""Videos by name, from folders of frames and from arrays: cut, chosen, ordered, and every fault named."""

from __future__ import annotations

import itertools
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from l2zoo.data import batching, load, load_video

N = 11


@pytest.fixture
def video():
    """11 clips of 6 frames of 2x3 pixels; clip n has n * 10 + t in its frame t."""
    values = np.arange(N)[:, None] * 10 + np.arange(6)
    return np.broadcast_to(values[:, :, None, None, None], (N, 6, 2, 3, 1)).astype(np.uint8)


def firsts(clips):
    """The value of the first frame of each clip."""
    return np.asarray(clips)[:, 0, 0, 0, 0].tolist()


def read(batches, count=None):
    """The first values of the clips of each batch."""
    return [firsts(batch) for batch in batches.take(count or -1).as_numpy_iterator()]


def write_clip(folder: Path, values, *, size=(4, 5), mode="L", name="{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, value in enumerate(values):
        Image.fromarray(np.full(size, value, np.uint8)).convert(mode).save(folder / name.format(number))


@pytest.fixture
def folder(tmp_path):
    """Splits train (5 clips of 12 frames) and test (2); clip c has c * 20 + t in its frame t."""
    root = tmp_path / "films"
    for split, count in {"train": 5, "test": 2}.items():
        for clip in range(count):
            write_clip(root / split / f"clip{clip}", clip * 20 + np.arange(12))
    return root


def test_arrays_are_what_was_given(video):
    data = load_video(video, "valid")
    assert (data.name, data.split, data.num_examples, data.clip_shape) == ("arrays", "valid", N, (6, 2, 3, 1))
    assert data.dtype == "uint8"
    np.testing.assert_array_equal(data.arrays(), video)
    assert load_video(video.astype(np.int64)).dtype == "uint8"
    assert load_video(video.astype(np.float64)).arrays().dtype == np.float32
    assert repr(data) == "VideoData(name='arrays', split='valid')"


def test_long_clips_are_cut_and_the_rest_is_dropped(video):
    data = load_video(video, frames=4)
    assert (data.num_examples, data.clip_shape) == (N, (4, 2, 3, 1))
    data = load_video(video[:2], frames=3)
    assert data.arrays()[..., 0, 0, 0].tolist() == [[0, 1, 2], [3, 4, 5], [10, 11, 12], [13, 14, 15]]


def test_limit_keeps_a_choice_of_the_seed_in_its_order(video):
    found = firsts(load_video(video, limit=5, seed=1).arrays())
    assert len(set(found)) == 5
    assert found == sorted(found) == firsts(load_video(video, limit=5, seed=1).arrays())
    assert found != firsts(load_video(video, limit=5, seed=2).arrays())


def test_without_shuffle_batches_come_in_the_order_of_the_data(video):
    batches = load_video(video).batches(4, start_epoch=2)
    assert read(batches) == [[0, 10, 20, 30], [40, 50, 60, 70], [80, 90, 100]]
    assert batches.element_spec.shape.as_list() == [None, 6, 2, 3, 1]
    assert batches.cardinality() == load_video(video).steps_per_epoch(4) == 3


def test_a_stream_joined_at_epoch_two_is_the_rest_of_the_uninterrupted_one(video):
    import tensorflow as tf

    data = load_video(video)
    whole = read(data.batches(4, shuffle=True, seed=1, repeat=True), 4 * 3)
    for epoch in range(4):
        assert sorted(itertools.chain(*whole[3 * epoch : 3 * epoch + 3])) == firsts(video)
    assert whole[:3] != whole[3:6]
    assert read(data.batches(4, shuffle=True, seed=1, repeat=True, start_epoch=2), 2 * 3) == whole[6:]
    tf.random.set_seed(99)
    again = load_video(video).batches(N, shuffle=True, seed=1, start_epoch=2)
    assert read(again) == [list(itertools.chain(*whole[6:9]))]
    assert read(data.batches(4, shuffle=True, seed=2)) != whole[:3]
    assert data.batches(4, repeat=True).cardinality() == tf.data.INFINITE_CARDINALITY


def test_the_last_batch_can_be_dropped(video):
    data = load_video(video)
    assert read(data.batches(4, drop_remainder=True)) == [[0, 10, 20, 30], [40, 50, 60, 70]]
    assert data.steps_per_epoch(4, drop_remainder=True) == 2
    with pytest.raises(ValueError, match=r"`batch_size` must be at most the 11 examples"):
        data.batches(12, drop_remainder=True)


def test_data_can_be_pickled_without_the_tensor_that_batches_made(video):
    data = load_video(video)
    fresh = len(pickle.dumps(data))
    next(iter(data.batches(2)))
    assert len(pickle.dumps(data)) == fresh
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).arrays(), video)


@pytest.mark.parametrize(
    ("spoil", "error", "text"),
    [
        (lambda x: x[0], ValueError, r"shape \(N, T, H, W, C\), got shape=\(6, 2, 3, 1\)"),
        (lambda x: x[:0], ValueError, r"no clips: x has shape=\(0, 6, 2, 3, 1\)"),
        (lambda x: x[:, :1], ValueError, r"at least 2 frames, got 1: pass single images to `load`"),
        (lambda x: np.where(x == 31, np.nan, x), ValueError, "first in image 3"),
        (lambda x: x.astype(int) * 3, ValueError, r"in \[0, 255\], got values in \[0, 315\]"),
        (lambda x: x.astype(str), TypeError, "must hold numbers, got dtype=<U"),
        (lambda x: (x, x), TypeError, r"'folder:PATH' or an array \(N, T, H, W, C\), got tuple"),
        (lambda x: Path("/films"), TypeError, r"got PosixPath; for a folder, write 'folder:/films'"),
    ],
)
def test_arrays_that_are_no_clips_are_refused(video, spoil, error, text):
    with pytest.raises(error, match=text):
        load_video(spoil(video))


def test_float_pixels_that_look_normalised_are_warned_of(video):
    with pytest.warns(UserWarning, match="Multiply them by 255, or pass them before any scaling"):
        load_video(video / 255)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"frames": 1}, "`frames` must be an integer of at least 2 or None, got frames=1"),
        ({"frames": 2.5}, "got frames=2.5"),
        ({"frames": 7}, "`frames` must be at most the 6 frames of a clip, got frames=7"),
        ({"limit": 0}, "`limit` must be an integer of at least 1 or None, got limit=0"),
        ({"limit": 12}, "`limit` must be at most the 11 examples there are, got limit=12"),
        ({"seed": -1}, "`seed` must be an integer of at least 0, got seed=-1"),
    ],
)
def test_arguments_out_of_range_are_refused(video, arguments, text):
    with pytest.raises(ValueError, match=text):
        load_video(video, **arguments)


def test_a_folder_of_frames_is_read_by_number(folder):
    data = load_video(f"folder:{folder}", "test")
    assert (data.num_examples, data.clip_shape, data.dtype) == (2, (12, 4, 5, 1), "uint8")
    # "10" comes after "9", and not after "1".
    assert sorted(clip[:, 0, 0, 0].tolist() for clip in data.arrays()) == [
        list(range(12)),
        list(range(20, 32)),
    ]
    np.testing.assert_array_equal(data.arrays(), load_video(f"folder:{folder}", "test").arrays())


def test_a_folder_of_clips_is_the_split_train_and_slices_share_it_out(folder):
    root = f"folder:{folder / 'train'}"
    whole = firsts(load_video(root).arrays())
    assert sorted(whole) == [0, 20, 40, 60, 80]
    first, rest = (firsts(load_video(root, split).arrays()) for split in ("train[:40%]", "train[40%:]"))
    assert first + rest == whole
    assert len(first) == 2
    assert load_video(f"folder:{folder}", "train+test").num_examples == 7


def test_clips_of_a_folder_are_cut_within_their_slice(folder):
    data = load_video(f"folder:{folder}", "train[:2]", frames=5)
    assert (data.num_examples, data.clip_shape) == (4, (5, 4, 5, 1))
    found = data.arrays()[..., 0, 0, 0]
    assert (np.diff(found, axis=1) == 1).all()
    assert (found[:, 0] % 20).tolist() == [0, 5, 0, 5]
    limited = load_video(f"folder:{folder}", "train[:2]", frames=5, limit=3)
    assert set(firsts(limited.arrays())) < set(found[:, 0].tolist())


def test_one_frame_in_colour_makes_all_splits_colour(folder):
    assert load_video(f"folder:{folder}").clip_shape[-1] == 1
    write_clip(folder / "test" / "clip0", [0], mode="RGB")
    assert load_video(f"folder:{folder}").clip_shape == (12, 4, 5, 3)


def test_clips_of_different_length_need_frames(folder):
    write_clip(folder / "train" / "long", range(15))
    with pytest.raises(ValueError, match=r"clip\d has 12 frames, .*long has 15. Pass frames="):
        load_video(f"folder:{folder}")
    assert load_video(f"folder:{folder}", frames=6).num_examples == 12
    with pytest.raises(ValueError, match=r"at least 14 frames, .*clip0 \(12\), .*clip4 \(12\)\.$"):
        load_video(f"folder:{folder}", frames=14)
    for number in range(5, 8):
        write_clip(folder / "train" / f"clip{number}", [0, 1])
    with pytest.raises(ValueError, match=r"clip4 \(12\) and 3 more\.$"):
        load_video(f"folder:{folder}", frames=14)


def spoil(folder, how):
    clip = folder / "train" / "clip2"
    if how == "empty":
        shutil.rmtree(clip)
        clip.mkdir()
    elif how == "short":
        for other in (folder / "train").iterdir():
            shutil.rmtree(other)
        write_clip(clip, [0])
    elif how == "name":
        (clip / "3.png").rename(clip / "last.png")
    elif how == "twins":
        shutil.copy(clip / "3.png", clip / "frame_03.png")
    elif how == "text":
        (clip / "3.png").write_text("not an image")
    elif how == "broken":
        Image.effect_noise((5, 4), 50).save(clip / "3.png")
        (clip / "3.png").write_bytes((clip / "3.png").read_bytes()[:-30])


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("empty", r"no frames \(.png, .*\) in the clip .*clip2: fill or remove it"),
        ("short", r"Clips must have at least 2 frames, but these have fewer: .*clip2 \(1\)\.$"),
        ("name", r"frame .*last.png has no number in its name .*: rename it"),
        ("twins", r"frames .*3.png and .*frame_03.png have one number: keep one"),
        ("text", r"clip2.3.png is not a PNG, JPEG, .* image"),
        ("broken", r"clip2.3.png cannot be decoded .*: repair or remove it"),
    ],
)
def test_a_fault_in_a_folder_is_named(folder, how, text):
    spoil(folder, how)
    with pytest.raises(ValueError, match=text):
        load_video(f"folder:{folder}")


def test_a_folder_that_has_no_clips_is_named(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: .* needs PATH/train/CLIP/0001.png"):
        load_video(f"folder:{tmp_path / 'nowhere'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no frames .* in folders of .*empty: expected PATH/train/CLIP"):
        load_video(f"folder:{tmp_path / 'empty'}")
    with pytest.raises(ValueError, match=r"`split` must name one of test, train in .*, got 'valid'"):
        load_video(f"folder:{folder}", "valid")
    with pytest.raises(ValueError, match=r"no clips in split='train\[:0%\]' of"):
        load_video(f"folder:{folder}", "train[:0%]")


def test_a_folder_of_bare_frames_is_one_clip(folder):
    data = load_video(f"folder:{folder / 'test' / 'clip1'}", frames=5)
    assert data.arrays()[..., 0, 0, 0].tolist() == [list(range(20, 25)), list(range(25, 30))]
    for split, values in {"train": range(8), "test": range(50, 54)}.items():
        write_clip(folder / "films" / split, values)
    for split, values in {"train": range(8), "test": range(50, 54)}.items():
        clips = load_video(f"folder:{folder / 'films'}", split).arrays()
        assert clips[..., 0, 0, 0].tolist() == [list(values)]


def test_frames_are_resized_as_images_are(folder, video, tfds_videos):
    write_clip(folder / "train" / "clip2", [99], size=(40, 50))  # a frame of another size
    assert load_video(f"folder:{folder}", image_size=(6, 3)).clip_shape == (12, 6, 3, 1)
    wide = np.random.default_rng(0).integers(0, 256, (3, 4, 20, 10, 3)).astype(np.uint8)
    found = load_video(wide, image_size=(6, 4))
    images, _ = load((wide.reshape(12, 20, 10, 3), np.arange(12)), image_size=(6, 4)).arrays()
    np.testing.assert_array_equal(found.arrays(), images.reshape(3, 4, 6, 4, 3))
    floats = load_video(wide.astype("float32"), image_size=(6, 4)).arrays()
    assert floats.dtype == np.float32
    assert np.abs(floats - found.arrays()).max() <= 0.5 + 1e-3
    data = load_video("fixed_film", data_dir=tfds_videos, image_size=(8, 2), frames=3, limit=5)
    assert data.clip_shape == (3, 8, 2, 1)
    whole = load_video("fixed_film", data_dir=tfds_videos, frames=3, limit=5)
    np.testing.assert_array_equal(data.arrays()[:, :, 0, 0, 0], whole.arrays()[:, :, 0, 0, 0])
    with pytest.raises(ValueError, match=r"`image_size` must be \(H, W\), two integers .* image_size=32"):
        load_video(video, image_size=32)


@pytest.fixture(scope="module")
def tfds_videos(tmp_path_factory):
    """TFDS data sets with a `Video` of 6 frames, and with none of a fixed size."""
    import tensorflow_datasets as tfds

    root = tmp_path_factory.mktemp("videos")
    values = np.arange(7)[:, None] * 10 + np.arange(6)
    clips = np.broadcast_to(values[:, :, None, None, None], (7, 6, 4, 4, 1)).astype(np.uint8)
    for name, frames in {"fixed_film": 6, "loose_film": None}.items():
        tfds.dataset_builders.store_as_tfds_dataset(
            name,
            version="1.0.0",
            features=tfds.features.FeaturesDict({
                "film": tfds.features.Video(shape=(frames, 4, 4, 1)), "id": np.int64
            }),
            split_datasets={"train": [(i, {"film": clip, "id": i}) for i, clip in enumerate(clips)]},
            data_dir=root,
        )  # fmt: skip
    return root


def test_a_tfds_video_is_read_cut_and_chosen(tfds_videos):
    data = load_video("fixed_film", data_dir=tfds_videos)
    assert (data.num_examples, data.clip_shape, data.dtype) == (7, (6, 4, 4, 1), "uint8")
    whole = data.arrays()[..., 0, 0, 0]
    assert sorted(whole.tolist()) == [list(range(10 * i, 10 * i + 6)) for i in range(7)]
    halves = load_video("fixed_film", data_dir=tfds_videos, frames=3)
    np.testing.assert_array_equal(halves.arrays()[..., 0, 0, 0], whole.reshape(14, 3))
    some = load_video("fixed_film", data_dir=tfds_videos, frames=2, limit=9, seed=3)
    kept = np.sort(np.random.default_rng(3).permutation(21)[:9])
    np.testing.assert_array_equal(some.arrays()[..., 0, 0, 0], whole.reshape(21, 2)[kept])
    part = load_video("fixed_film", "train[2:5]", data_dir=tfds_videos)
    np.testing.assert_array_equal(part.arrays()[..., 0, 0, 0], whole[2:5])


def test_tfds_data_that_has_no_video_of_fixed_size_is_refused(tfds_videos, tfds_root):
    with pytest.raises(
        ValueError, match=r"not one 8-bit video .* features are film, id. Pass .* as an array"
    ):
        load_video("loose_film", data_dir=tfds_videos)
    with pytest.raises(ValueError, match=r"l2zoo_digits is not one 8-bit video"):
        load_video("l2zoo_digits", data_dir=tfds_root)
    with pytest.raises(ValueError, match=r"`split` must be train, or a slice .* got split='test'"):
        load_video("fixed_film", "test", data_dir=tfds_videos)
    with pytest.raises(ValueError, match=r"There are no clips in split='train\[:0%\]'"):
        load_video("fixed_film", "train[:0%]", data_dir=tfds_videos)
    with pytest.raises(FileNotFoundError, match=r"'moving_mnist' is not on this machine"):
        load_video("moving_mnist", data_dir=tfds_videos)


def test_more_than_fits_in_memory_is_refused_with_the_way_out(folder, tfds_videos, monkeypatch, video):
    monkeypatch.setattr(batching, "MEMORY_LIMIT", 2 * 240)
    for source, data_dir in ((f"folder:{folder}", None), ("fixed_film", tfds_videos)):
        with pytest.raises(ValueError, match=r"train takes 0.0 GiB of pixels, more than .* with `limit=`"):
            load_video(source, data_dir=data_dir)
        load_video(source, data_dir=data_dir, limit=2)
    load_video(np.concatenate([video] * 3))  # is in memory already
