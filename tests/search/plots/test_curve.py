"""The picture: whole on every kind of search, readable without colour and without eyes."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from l2zoo.engine.record import Record, Unit
from l2zoo.search.plots.curve import alt_text, draw, plot
from l2zoo.search.select import Selection, choose
from tests.search import pictured

GRID = [0.0, *np.logspace(-6, -1, 11)]
COLLAPSE = [0.855, 0.856, 0.855, 0.857, 0.855, 0.856, 0.857, 0.862, 0.875, 0.888, 0.20, None]


def search(
    means: list[float | None], *, strengths: list[float] = GRID, folds: int = 5, mode: str = "max"
) -> Selection:
    """Folds at fixed distances around each mean; a mean of None failed in every fold."""
    records = []
    for (strength, mean), fold in itertools.product(zip(strengths, means, strict=True), range(folds)):
        unit = Unit(strength, fold, 0)
        if mean is None:
            records.append(Record(unit, status="failed", reason="the loss became NaN in epoch 1"))
        else:
            records.append(Record(unit, score=mean + 0.01 * (fold - (folds - 1) / 2)))
    return choose(records, metric="val_accuracy", mode=mode)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.fixture(scope="module")
def collapse() -> Figure:
    return draw(search(COLLAPSE))


@pytest.fixture(scope="module")
def plain() -> Figure:
    return draw(pictured.selection(pictured.plain()))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_search_gives_the_same_file_with_its_description(tmp_path: Path, kind: str) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    selection = search([0.80, 0.90, None], strengths=[0.0, 0.01, 0.1])
    first, second = (plot(selection).save(tmp_path / "new" / f"{name}.{kind}") for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert list(first.parent.iterdir()) in ([first, second], [second, first])
    assert dict(matplotlib.rcParams) == before
    title = "Accuracy against the strength of L2"
    if kind == "png":
        with Image.open(first) as image:
            assert image.width == 1312
            assert image.text["Title"] == title
            assert image.text["Description"] == alt_text(selection)
    if kind == "svg":
        root = ElementTree.parse(first).getroot()
        assert root.findtext("{http://www.w3.org/2000/svg}title") == title
        assert root.findtext(".//{http://purl.org/dc/elements/1.1/}description") == alt_text(selection)


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"`path` must end in \.png, \.svg or \.pdf, got path='.*lambda\.txt'"
    ):
        plot(search(COLLAPSE)).save(tmp_path / "lambda.txt")


def test_the_description_holds_every_number() -> None:
    text = alt_text(search([0.80, 0.90, None], strengths=[0.0, 0.01, 0.1]))
    # Folds at -0.02, -0.01, 0, 0.01, 0.02: s = 0.0158114, over sqrt(5): 0.0070711.
    assert text.startswith(
        "Mean accuracy ± standard error for each strength of L2. 0: 0.800 ± 0.007; 0.01: 0.900 ± 0.007; "
        "0.1: no score (5 failed). Best: 0.01. Strongest within one standard error of it: 0.01. L2 helps here"
    )


def test_the_choices_differ_in_marker_and_line_and_are_named() -> None:
    figure = draw(search([0.80, 0.90, 0.895, 0.5], strengths=[0.0, 0.001, 0.01, 0.1]))
    (axes,) = figure.axes
    marked = {str(line.get_marker()): line for line in axes.lines}
    assert marked["*"].get_xdata() == pytest.approx([0.001])
    assert marked["D"].get_xdata() == pytest.approx([0.01])
    upright = {line.get_xdata()[0]: line.get_linestyle() for line in axes.lines if len(line.get_xdata()) == 2}
    assert (upright[0.001], upright[0.01]) == ("-", "--")
    assert {"★ best: 0.001", "◇ one SE: 0.01"} <= set(texts(figure))


def test_what_is_off_the_scale_has_an_arrow_and_its_number(collapse: Figure) -> None:
    (axes,) = collapse.axes
    assert axes.get_ylim()[0] > 0.75
    arrows = [line for line in axes.lines if line.get_marker() == "v"]
    assert [line.get_xdata()[0] for line in arrows] == pytest.approx([10**-1.5])
    assert {"0.2", "✕ 5 of 5 failed"} <= set(texts(collapse))


def test_the_band_is_one_standard_error_around_the_best(collapse: Figure) -> None:
    (axes,) = collapse.axes
    error = 0.01 * np.sqrt(2.5) / np.sqrt(5)
    bands = [patch.get_extents().transformed(axes.transData.inverted()) for patch in axes.patches]
    assert (0.888 - error, 0.888 + error) in [
        (pytest.approx(band.y0, abs=1e-9), pytest.approx(band.y1, abs=1e-9)) for band in bands
    ]


def test_every_training_is_a_dot_near_its_strength() -> None:
    (axes,) = draw(search([0.8, 0.81, 0.82], strengths=[0.0, 0.01, 0.1])).axes
    zero, *spread = [line for line in axes.lines if line.get_alpha() == 0.45]
    assert zero.get_ydata() == pytest.approx(0.8 + 0.01 * np.arange(-2, 3))
    assert np.abs(zero.get_xdata()).max() < 0.002  # far from 0.01, on the linear part
    for strength, line in zip((0.01, 0.1), spread, strict=True):
        assert np.abs(np.log10(line.get_xdata() / strength)).max() < 0.3
        assert len(set(line.get_xdata())) == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "selection",
    [
        search([0.8] * 12),
        search([0.8 + 0.01 * i for i in range(12)], folds=1),
        search([*[0.9] * 10, 0.91, 0.9099]),
        search([0.9, *[0.8] * 11]),
        search([0.8], strengths=[0.0]),
        search([0.8, 0.81], strengths=[0.0, 3.16e-5]),
        search([0.8, 0.81, 0.8099], strengths=[0.0, 3.11e-5, 3.16e-5]),
        search([0.80, 0.81], strengths=[3.16e-5, 3.2e-5]),
        search([0.5, 0.5, 0.49, 0.45, 0.4, 0.42, 1e6, 2e6, 3e6, 4e6, 5e6, None], mode="min"),
        search([*[0.8] * 30, 0.81], strengths=[0.0, *np.logspace(-6, -1, 30)]),
    ],
    ids=[
        "flat",
        "one fold",
        "choices at the end",
        "0 is best",
        "only 0",
        "one",
        "close",
        "no 0",
        "loss",
        "dense",
    ],
)
def test_no_text_leaves_the_picture_and_no_name_hides_another(selection: Selection) -> None:
    figure = draw(selection)
    figure.draw_without_rendering()
    box = figure.get_tightbbox()  # of all that is drawn, in inches
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= figure.get_figwidth()
    assert box.y1 <= figure.get_figheight()
    names = [t.get_window_extent() for t in figure.findobj(Text) if t.get_text().startswith(("★", "◇"))]
    assert 1 <= len(names) <= 2
    assert len(names) == 1 or not names[0].overlaps(names[1])


# ---- What stands beside the scores -------------------------------------------------------------------------


def test_the_norm_of_the_weights_has_an_axis_of_its_own_that_begins_at_0(plain: Figure) -> None:
    axes, norms = plain.axes
    assert norms.get_ylabel() == "Norm of the penalised weights"
    assert norms.get_ylim() == pytest.approx((0, 1.1 * 14))  # at strength 0 the norm is 14
    (line,) = (line for line in axes.lines if line.get_marker() == "d")
    strengths = np.array([0.0, math.nan, *pictured.GRID[1:-1]])  # the strongest failed and has none
    assert line.get_xdata() == pytest.approx(strengths, nan_ok=True)
    assert line.get_ydata() == pytest.approx(14 / (1 + (strengths / 3e-3) ** 0.5), nan_ok=True)
    _, height = line.get_transform().transform([0, 14])
    assert height == pytest.approx(norms.transData.transform([1, 14])[1])
    assert "norm of the penalised weights" in texts(plain)
    words = alt_text(pictured.selection(pictured.plain()))
    assert "Norm of the penalised weights: 0: 14; 1e-6: 13.7;" in words


def test_without_norms_there_is_neither_axis_nor_legend(collapse: Figure) -> None:
    assert len(collapse.axes) == 1
    assert not {"norm of the penalised weights", "mean with other hyperparameters"} & set(texts(collapse))


def test_other_hyperparameters_and_what_was_stopped_are_faint_open_marks() -> None:
    selection = pictured.selection(pictured.hyperband())
    figure = draw(selection)
    axes = figure.axes[0]
    marked = {line.get_marker(): line for line in axes.lines if line.get_markerfacecolor() == "none"}
    low, high = axes.get_ylim()
    for marker, tried in (("o", selection.rest), ("s", selection.stopped)):
        seen = [(c.strength, c.mean) for c in tried if low <= c.mean <= high]
        assert marked[marker].get_xydata().tolist() == [list(point) for point in seen]
    assert {"mean with other hyperparameters", "stopped early (12 off the scale)"} <= set(texts(figure))
    assert f"Also shown: {len(selection.rest)} with other hyperparameters." in alt_text(selection)
