"""Folders, patterns and grey batches are images too, and each result knows its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from l2zoo import Predictor
from l2zoo.inference.image_paths import expand, expand_path
from tests.inference.kinds import X

GREY, COLOURED = (8, 8, 1), (8, 8, 3)


@pytest.fixture
def photos(tmp_path):
    for name in ("b.png", "a.JPG", "c.webp", "notes.txt", ".hidden.png", "inner/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if name == "notes.txt":
            (tmp_path / name).write_text("x")
        else:
            Image.new("L", (8, 8), 100).save(tmp_path / name)
    return tmp_path


def test_a_folder_stands_for_its_image_files_by_name(photos):
    assert [path.name for path in expand_path(photos)] == ["a.JPG", "b.png", "c.webp"]
    assert expand(str(photos), GREY) == expand_path(photos)


def test_a_pattern_stands_for_what_it_fits(photos):
    assert [path.name for path in expand_path(f"{photos}/*.png")] == ["b.png"]
    assert [path.name for path in expand_path(photos / "**" / "*.png")] == ["b.png", "d.png"]


def test_a_list_may_hold_all_of_them(photos):
    pixels = np.zeros((8, 8, 1), "uint8")
    found = expand([pixels, photos / "inner", f"{photos}/*.webp", photos / "b.png"], GREY)
    assert found[0] is pixels
    assert [path.name for path in found[1:]] == ["d.png", "c.webp", "b.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a[1].png")
    assert expand_path(tmp_path / "a[1].png") == [tmp_path / "a[1].png"]


def test_what_stands_for_nothing_is_a_clear_error(photos, tmp_path_factory):
    with pytest.raises(FileNotFoundError, match=r"no file is called like '.*\*\.bmp'"):
        expand_path(f"{photos}/*.bmp")
    with pytest.raises(ValueError, match="must be a folder with images"):
        expand_path(tmp_path_factory.mktemp("empty"))
    (photos / "outer").mkdir()
    (photos / "inner").rename(photos / "outer" / "cat")
    with pytest.raises(ValueError, match=r"Take a pattern for those of cat: '.*outer/\*/\*'"):
        expand_path(photos / "outer")


def test_results_know_their_files(made, photos):
    predictor = Predictor(made("logits").folder)
    assert [one.path for one in predictor.predict(photos)] == expand_path(photos)
    assert [one.path for one in predictor.predict([X[0], str(photos / "b.png")])] == [None, photos / "b.png"]
    assert "path" not in predictor.predict(X[0])[0].to_dict()


def test_grey_images_without_channels_are_a_batch_where_there_is_no_doubt(made):
    predictor = Predictor(made("logits").folder)
    found, expected = predictor.predict(X[:3, ..., 0]), predictor.predict(X[:3])
    np.testing.assert_array_equal([one.probabilities for one in found], [o.probabilities for o in expected])


@pytest.mark.parametrize("shape", [(5, 9, 9), (16, 16, 3)])
def test_where_there_is_doubt_it_is_said_what_to_give(made, shape):
    with pytest.raises(ValueError, match=r"give images\[\.\.\., None\]; if it is one in colours"):
        Predictor(made("logits").folder).predict(np.zeros(shape, "uint8"))


def test_what_is_said_is_drawn_from_python(made, photos, tmp_path):
    predictor = Predictor(made("logits").folder)
    found = predictor.predict(photos)
    first = predictor.draw(photos, tmp_path / "said.svg")
    again = predictor.draw(photos, tmp_path / "again.svg", results=found)
    assert first == tmp_path / "said.svg"
    assert f"a.JPG: {found[0].class_name} " in first.read_text()
    assert first.read_text() == again.read_text()
    assert Path(predictor.draw(X[0], tmp_path / "inner" / "one.png")).is_file()
    with pytest.raises(ValueError, match="must be of 3 images, got 1"):
        predictor.draw(photos, tmp_path / "said.svg", results=found[:1])
