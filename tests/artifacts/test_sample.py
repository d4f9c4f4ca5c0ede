"""What is stored of a sample, and read again."""

import numpy as np
import pytest

from l2zoo.artifacts import sample


def classified(inputs):
    return {"classes": np.zeros((len(inputs["images"]), 10), np.float32)}


def test_whole_numbers_are_kept_as_bytes_spread_over_the_sample():
    images = np.arange(100, dtype=np.float32).reshape(100, 1, 1, 1)
    given, answers = sample.select({"images": images}, lambda inputs: {"doubled": 2 * inputs["images"]})
    few = given["images"]
    assert few.dtype == np.uint8
    np.testing.assert_array_equal(answers["doubled"], 2.0 * few)
    assert few.shape == (32, 1, 1, 1)
    assert (few[0, 0, 0, 0], few[-1, 0, 0, 0]) == (0, 99)


def test_fractions_are_kept_as_they_are():
    images = np.array([0.5, 200.25], np.float32).reshape(2, 1, 1, 1)
    np.testing.assert_array_equal(sample.select({"images": images}, classified)[0]["images"], images)


def test_large_images_are_few():
    few, answers = sample.select({"images": np.zeros((40, 1024, 1024, 3), np.uint8)}, classified)
    assert len(few["images"]) == len(answers["classes"]) == 1


def test_large_answers_are_few():
    def masked(inputs):
        return {"masks": np.zeros((len(inputs["images"]), 128, 128, 4), np.float32)}  # 256 KiB each

    few, answers = sample.select({"images": np.zeros((40, 128, 128, 1), np.uint8)}, masked)
    assert len(few["images"]) == len(answers["masks"]) == 3


def test_stored_arrays_come_back(tmp_path):
    images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    outputs = {"images": np.eye(2, dtype=np.float32), "output_0": np.ones((2, 3), np.float32)}
    inputs = {"images": images, "labels": np.array([3, -1], np.int32)}
    sample.write(tmp_path / "sample.npz", inputs, outputs)
    back, answers = sample.read(tmp_path / "sample.npz")
    assert back.keys() == inputs.keys()
    for name in inputs:
        assert back[name].dtype == inputs[name].dtype
        np.testing.assert_array_equal(back[name], inputs[name])
    assert answers.keys() == outputs.keys()
    for name in outputs:
        np.testing.assert_array_equal(answers[name], outputs[name])


def test_pickled_objects_are_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    objects = np.array([Bomb()], dtype=object)
    with (tmp_path / "sample.npz").open("wb") as file:
        np.savez(file, images=objects, expected_output_0=objects)
    with pytest.raises(
        ValueError, match=r"not the sample of an artifact: it cannot be read: Object arrays cannot be loaded"
    ):
        sample.read(tmp_path / "sample.npz")


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "_LARGEST", 2**20)
    np.savez_compressed(tmp_path / "sample.npz", images=np.zeros(2**20 + 1, np.uint8))
    assert (tmp_path / "sample.npz").stat().st_size < 2**12
    with pytest.raises(ValueError, match=r"unpacks to 1,048,705 bytes, more than 1,048,576"):
        sample.read(tmp_path / "sample.npz")


@pytest.mark.parametrize(
    "arrays",
    [
        {"expected_y": np.zeros((2, 3))},
        {"images": np.zeros((2, 1))},
        {"images": np.zeros((2, 1)), "expected_y": np.zeros((3, 3))},
        {"images": np.zeros((0, 1)), "expected_y": np.zeros((0, 3))},
        {"images": np.zeros(()), "expected_y": np.zeros((3, 3))},
    ],
)
def test_a_sample_without_an_answer_for_each_image_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "sample.npz", **arrays)
    with pytest.raises(ValueError, match="not the sample of an artifact"):
        sample.read(tmp_path / "sample.npz")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "sample.npz").write_bytes(b"digits")
    with pytest.raises(ValueError, match="File is not a zip file"):
        sample.read(tmp_path / "sample.npz")
