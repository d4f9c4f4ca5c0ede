"""Pictures of what a model says, seen through the figure that is saved and through the file."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from l2zoo.tasks.plots import pictures

H, W = 20, 32
NAMES = ["sky", "a $5 bill & a very long name that fits nowhere", "cat"]


@pytest.fixture
def saved(monkeypatch) -> list[Figure]:
    """The figures that are written, in coarse pixels, which are quick."""
    figures: list[Figure] = []
    write = Figure.savefig

    def spy(figure: Figure, *args, **kwargs) -> None:
        figures.append(figure)
        write(figure, *args, **{**kwargs, "dpi": 40})

    monkeypatch.setattr(Figure, "savefig", spy)
    return figures


def images(count: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, H, W, channels)).astype("uint8")


def answers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """True labels 0, 1, 2, 0, ..., and probabilities that are right but for the last image."""
    labels = np.arange(count) % 3
    probabilities = np.full((count, 3), 0.1)
    probabilities[np.arange(count), labels] = 0.8
    probabilities[-1] = np.roll(probabilities[-1], 1)
    return labels, probabilities


def masks(count: int) -> tuple[np.ndarray, np.ndarray]:
    truth = np.random.default_rng(1).integers(0, 2, (count, H, W)).astype("uint8")
    predicted = truth.copy()
    truth[:, :3] = 255
    return truth, predicted


TRUTH = {
    "boxes_xyxy": np.array([[[2, 3, 12, 15], [0, 0, 0, 0]], [[1, 1, 5, 5], [10.5, 4, 30, 19]]], float),
    "labels": np.array([[1, -1], [0, 2]]),
}
FOUND = {
    "boxes_xyxy": np.array([[[3, 3, 12, 14], [0, 0, 9, 9]], [[9, 3, 29, 18], [0, 0, 0, 0]]], float),
    "scores": np.array([[0.9, 0.2], [0.55, 0.0]]),
    "classes": np.array([[1, 2], [2, -1]]),
}


def drawn(figure: Figure) -> list:
    """The axes of images, without those of the legend."""
    return [axes for axes in figure.axes if axes.get_gid() != "legend"]


def written(figure: Figure) -> list[str]:
    parts = [figure, *figure.axes]
    return [text.get_text() for part in parts for text in part.texts]


def corners(axes, gid: str) -> list[list[float]]:
    found = [patch for patch in axes.patches if patch.get_gid() == gid]
    return [[p.get_x(), p.get_y(), p.get_x() + p.get_width(), p.get_y() + p.get_height()] for p in found]


def picture(kind: str, path, count: int = 2):
    if kind == "labels":
        return pictures.picture_of_labels(images(count), *answers(count), NAMES, path)
    if kind == "masks":
        return pictures.picture_of_masks(images(count), *masks(count), NAMES, path)
    return pictures.picture_of_boxes(images(count), TRUTH, FOUND, NAMES, path)


@pytest.mark.parametrize("kind", ["labels", "masks", "boxes"])
def test_nothing_leaves_the_picture_and_no_texts_touch(kind, saved, tmp_path):
    picture(kind, tmp_path / "picture.png")
    (figure,) = saved
    figure.canvas.draw()
    texts = [text for part in (figure, *figure.axes) for text in part.texts]
    places = [text.get_window_extent() for text in texts]
    assert len(places) > 5
    assert all(figure.bbox.x0 <= place.x0 < place.x1 <= figure.bbox.x1 for place in places)
    assert all(figure.bbox.y0 <= place.y0 < place.y1 <= figure.bbox.y1 for place in places)
    inner = [place.padded(-1) for place in places]
    assert not [(i, j) for j in range(len(inner)) for i in range(j) if inner[i].overlaps(inner[j])]


def test_a_wrong_label_is_marked_and_counted(saved, tmp_path):
    path = picture("labels", tmp_path / "picture.png", count=3)
    (figure,) = saved
    *right, wrong = figure.axes
    assert len(right) == 2
    assert [text.get_text() for text in right[0].texts] == ["said: sky 80%", "#0 true: sky"]
    assert "✕ said: sky 80%" in [text.get_text() for text in wrong.texts]
    assert "✕" in [text.get_text() for text in wrong.texts]
    words = Image.open(path).text["Description"]
    assert words.startswith("Images and what the model says. All 3 images. Right: 2 of 3.")
    assert words.endswith("#2: true cat, said sky 80%.")


def test_twelve_are_shown_with_names_shortened_but_not_their_probability(saved, tmp_path):
    picture("labels", tmp_path / "picture.png", count=13)
    (figure,) = saved
    assert len(figure.axes) == pictures.MOST == 12
    said = [text.get_text() for text in figure.axes[1].texts]
    assert re.fullmatch(r"said: a \$5 bill.*… 80%", said[0])
    assert said[1].startswith("#1 true: a $5 bill")
    assert said[1].endswith("…")


@pytest.mark.parametrize(("count", "shown"), [(1, [0]), (30, [0, 10, 19, 29])])
def test_images_are_chosen_evenly(count, shown, saved, tmp_path):
    pictures.picture_of_labels(images(count), *answers(count), NAMES, tmp_path / "a.png", most=4)
    numbers = re.findall(r"#(\d+)", " ".join(written(saved[0])))
    assert [int(number) for number in numbers] == shown


@pytest.mark.parametrize(("count", "panels", "columns"), [(3, 9, 3), (4, 12, 6)])
def test_every_image_stands_beside_its_two_masks(count, panels, columns, saved, tmp_path):
    picture("masks", tmp_path / "picture.png", count=count)
    axes = drawn(saved[0])
    assert len(axes) == panels
    assert len({round(a.get_position().x0, 6) for a in axes}) == columns
    assert len({round(a.get_position().y0, 6) for a in axes[:3]}) == 1
    said = written(saved[0])
    assert said.count("truth") == said.count("predicted") == panels // 3


def test_the_legend_names_what_occurs_and_what_is_not_labelled_is_grey(saved, tmp_path):
    path = picture("masks", tmp_path / "picture.png")
    first, second, third = [text.get_text() for text in saved[0].axes[-1].texts]
    assert (first, third) == ("sky", "not labelled")
    assert second.startswith("a $5 bill")
    assert "Mean IoU over all: 1.000." in Image.open(path).text["Description"]
    truth = drawn(saved[0])[1].images[0].get_array()
    top = truth[: 3 * truth.shape[0] // H].reshape(-1, 3)
    assert (top == top[:, :1]).all()
    assert (top.max(axis=0) == 128).all()


def test_masks_without_a_labelled_pixel_have_no_mean(tmp_path):
    truth, predicted = masks(2)
    truth[:] = 255
    path = pictures.picture_of_masks(images(2), truth, predicted, NAMES, tmp_path / "a.png")
    assert "IoU" not in Image.open(path).text["Description"]
    assert "#0: truth not labelled;" in Image.open(path).text["Description"]


def test_boxes_are_drawn_where_they_are(saved, tmp_path):
    path = picture("boxes", tmp_path / "picture.png")
    one, two = saved[0].axes
    assert one.get_xlim() == (0, W)
    assert one.get_ylim() == (H, 0)
    assert corners(one, "truth") == [[2, 3, 12, 15]]
    assert corners(one, "found") == [[3, 3, 12, 14]]
    assert corners(two, "truth") == [[1, 1, 5, 5], [10.5, 4, 30, 19]]
    assert corners(two, "found") == [[9, 3, 29, 18]]
    assert "cat 0.55" in [text.get_text() for text in two.texts]
    assert "#1 true: sky, cat" in [text.get_text() for text in two.texts]
    words = Image.open(path).text["Description"]
    assert "#1: true sky at (1, 1, 5, 5), cat at (10, 4, 30, 19); found cat 0.55 at (9, 3, 29, 18)." in words


def test_weak_boxes_are_left_out_unless_asked_for(saved, tmp_path):
    for min_score in (0.0, 0.6):
        pictures.picture_of_boxes(images(2), TRUTH, FOUND, NAMES, tmp_path / "a.png", min_score=min_score)
    assert [len(corners(axes, "found")) for figure in saved for axes in figure.axes] == [2, 1, 1, 0]


def test_an_image_without_objects_says_so(saved, tmp_path):
    truth = {"boxes_xyxy": np.zeros((2, 0, 4)), "labels": np.zeros((2, 0), int)}
    path = pictures.picture_of_boxes(images(2), truth, FOUND, NAMES, tmp_path / "a.png", min_score=0.95)
    assert "#0 true: nothing" in written(saved[0])
    assert "#0: true nothing; found nothing." in Image.open(path).text["Description"]


@pytest.mark.parametrize(("channels", "dtype"), [(1, "float32"), (3, "uint8")])
def test_pixels_are_shown_as_they_are(channels, dtype, saved, tmp_path):
    given = images(2, channels).astype(dtype)
    pictures.picture_of_labels(given, *answers(2), NAMES, tmp_path / "a.png")
    expected = np.broadcast_to(given[0], (H, W, 3))
    np.testing.assert_array_equal(saved[0].axes[0].images[0].get_array(), expected)


LABELS, PROBABILITIES = answers(2)
MASKS, PREDICTED = masks(2)


@pytest.mark.parametrize(
    ("kind", "given", "text"),
    [
        (
            "labels",
            (images(2)[0], LABELS, PROBABILITIES, NAMES),
            r"`images` must have shape \(N, H, W, 1 or 3\)",
        ),
        (
            "labels",
            (images(2) * 2.0, LABELS, PROBABILITIES, NAMES),
            r"pixels in \[0, 255\], got values in",
        ),
        ("labels", (images(2) * np.nan, LABELS, PROBABILITIES, NAMES), "finite numbers"),
        ("labels", (images(2), LABELS[:1], PROBABILITIES, NAMES), r"`labels` must have shape \(2,\)"),
        ("labels", (images(2), LABELS - 1, PROBABILITIES, NAMES), r"`labels` must be in \[0, 3\).* got -1"),
        (
            "labels",
            (images(2), LABELS * 0.5, PROBABILITIES, NAMES),
            "`labels` must be integers, got dtype=float",
        ),
        (
            "labels",
            (images(2), LABELS, PROBABILITIES, NAMES[:2]),
            r"`probabilities` must have shape \(2, 2\)",
        ),
        ("masks", (images(2), MASKS[..., None], PREDICTED, NAMES), r"`masks` must have shape \(2, 20, 32\)"),
        ("masks", (images(2), MASKS + 3, PREDICTED, NAMES), r"`masks` must be in \[0, 3\).* got 3"),
        ("masks", (images(2), MASKS, MASKS, NAMES), r"`predicted` must be in \[0, 3\).* got 255"),
        (
            "boxes",
            (images(3), TRUTH, FOUND, NAMES),
            "`truth` must be of as many images as `images`, 3, got 2",
        ),
        ("boxes", (images(2), TRUTH, FOUND, NAMES[:2]), r"`truth\['labels'\]` must be in \[0, 2\)"),
    ],
)
def test_what_does_not_fit_is_refused(kind, given, text, tmp_path):
    with pytest.raises(ValueError, match=text):
        getattr(pictures, f"picture_of_{kind}")(*given, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_other_files_and_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`path` must end in .png, .svg or .pdf, got path="):
        picture("labels", tmp_path / "picture.jpg")
    with pytest.raises(TypeError, match="`class_names` must be a sequence of strings, got class_names='abc'"):
        pictures.picture_of_labels(images(2), LABELS, PROBABILITIES, "abc", tmp_path / "a.png")
    with pytest.raises(ValueError, match="`most` must be a whole number >= 1, got most=0"):
        pictures.picture_of_labels(images(2), LABELS, PROBABILITIES, NAMES, tmp_path / "a.png", most=0)
