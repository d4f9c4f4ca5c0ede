"""Pictures of what a model says: labels, masks or boxes beside the truth, readable without colour.

Each picture shows some of the images, chosen evenly, and holds its own description in words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.arguments import check_number, whole_number
from l2zoo.replacing import replacing
from l2zoo.tasks.average_precision import Arrays, found_boxes, true_boxes
from l2zoo.tasks.overlap import UNLABELLED, confusion, mean_iou

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12  # images shown
WIDTH, MARGIN, LARGEST = 8.2, 0.25, 2.6  # inches; the last is the widest an image gets
NEAR, APART = 0.06, 0.22  # inches between panels of one image, and of two
LINE, ROW = 0.17, 0.25  # inches: height of a line of text, and of a row of the legend
CAPTION, TINY = 8.0, 6.5  # points: of what stands above an image, and in it
DOTS = 160  # per inch
INK, PALE, GREY = "#1b1f24", "#b6bcc6", "#808080"
STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture everywhere
    "text.color": INK,
    "svg.hashsalt": "l2zoo",  # the same data give the same file
}
LIGHT = "#ffb000"  # of boxes found: seen on dark pixels by itself, on light ones by its dark edge
# Class 0 is black. The others have Okabe and Ito's colours, which colour-blind people can tell apart, and
# patterns, which need no colour: 7 times 5, so that 36 classes differ. In this order the first two that share
# a pattern differ in brightness. What is not labelled has a grey and a pattern of its own.
BLACK = "#000000"
COLOURS = ("#56b4e9", "#0072b2", "#009e73", "#e69f00", "#cc79a7", "#d55e00", "#f0e442")
PATTERNS = 5
SWATCH = (34, 17)  # width and height of a sample in the legend, in hundredths of an inch
FINE, REPEATS = 480, 20  # pixels along a painted mask, and how often the pattern repeats there
_WORDS = {".png": "Description", ".svg": "Description", ".pdf": "Subject"}


@dataclass(frozen=True)
class _Line:
    """Text above an image, of which only the name is shortened where it does not fit."""

    before: str
    name: str = ""
    after: str = ""
    bold: bool = False


@dataclass(frozen=True)
class _Panel:
    """One image of the picture: `(H, W, 3)`, uint8, with what stands above it and what is drawn into it."""

    pixels: np.ndarray
    above: Sequence[_Line]
    wrong: bool = False
    truth_xyxy: Sequence[np.ndarray] = ()
    found_xyxy: Sequence[np.ndarray] = ()
    found: Sequence[_Line] = ()


@dataclass(frozen=True)
class _Sheet:
    """A picture: its panels, so many in a row, those of one image in a group."""

    title: str
    about: str
    words: Sequence[str]
    panels: Sequence[_Panel]
    columns: int
    group: int = 1
    legend: Sequence[tuple[str, int]] = ()


def picture_of_labels(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: str | Path,
    *,
    most: int = MOST,
) -> Path:
    """Images with the class that each is of, and the one that the model takes it for.

    Args:
        images: `(N, H, W, C)`, pixels in [0, 255], 1 or 3 channels.
        labels: `(N,)`, the true classes in [0, K).
        probabilities: `(N, K)`, in [0, 1].
        class_names: K of them.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        most: How many images are shown, chosen evenly.

    Returns:
        The path.

    Raises:
        ValueError: The arrays do not fit each other, or the path ends in something else.
    """
    images, names = _pixels(images), _names(class_names)
    labels = _classes("labels", labels, (len(images),), len(names))
    probabilities = _shaped("probabilities", probabilities, (len(images), len(names)))
    said = probabilities.argmax(axis=1)
    shown = _evenly(len(images), most)
    panels, words = [], []
    for i in shown:
        true, answer, share = names[labels[i]], names[said[i]], f"{probabilities[i, said[i]]:.0%}"
        wrong = bool(said[i] != labels[i])
        mark = "✕ said: " if wrong else "said: "
        above = [_Line(f"#{i} true: ", true), _Line(mark, answer, f" {share}", bold=wrong)]
        panels.append(_Panel(images[i], above, wrong=wrong))
        words.append(f"#{i}: true {true}, said {answer} {share}.")
    right = int((said == labels).sum())
    about = f"{_share(shown, images)} Right: {right:,} of {len(images):,}. ✕ and a dashed frame: wrong."
    return _save(_Sheet("Images and what the model says", about, words, panels, columns=4), path)


def picture_of_masks(
    images: np.ndarray,
    masks: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
    path: str | Path,
    *,
    ignore: int = UNLABELLED,
    most: int = MOST,
) -> Path:
    """Images, each with its true mask and the predicted one.

    Args:
        images: `(N, H, W, C)`, pixels in [0, 255], 1 or 3 channels.
        masks: `(N, H, W)`, the true classes in [0, K), or `ignore` for pixels that are not labelled.
        predicted: `(N, H, W)`, the predicted classes in [0, K).
        class_names: K of them.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        ignore: The mark of pixels that are not labelled; they are grey.
        most: How many images are shown, chosen evenly.

    Returns:
        The path.

    Raises:
        ValueError: The arrays do not fit each other, or the path ends in something else.
    """
    images, names = _pixels(images), _names(class_names)
    masks = _classes("masks", masks, images.shape[:3], len(names), also=ignore)
    predicted = _classes("predicted", predicted, images.shape[:3], len(names))
    matrix = confusion(masks, predicted, len(names), ignore=ignore)
    masks = np.where(masks == ignore, -1, masks)
    shown = _evenly(len(images), most)
    panels, words = [], []
    for i in shown:
        both = [_painted(masks[i]), _painted(predicted[i])]
        captions = ["truth", "predicted"]
        panels.append(_Panel(images[i], [_Line(f"#{i}")]))
        panels += [_Panel(mask, [_Line(caption)]) for mask, caption in zip(both, captions, strict=True)]
        words.append(
            f"#{i}: truth {_occurring(masks[i], names)}; predicted {_occurring(predicted[i], names)}."
        )
    about = _share(shown, images) + (f" Mean IoU over all: {mean_iou(matrix):.3f}." if matrix.any() else "")
    seen = np.union1d(masks[shown], predicted[shown])
    legend = [(names[k], int(k)) for k in seen if k >= 0] + [("not labelled", -1)] * bool(seen[0] < 0)
    columns = 3 if len(shown) < 4 else 6
    title = "Images, true masks and predicted masks"
    return _save(_Sheet(title, about, words, panels, columns, group=3, legend=legend), path)


def picture_of_boxes(
    images: np.ndarray,
    truth: Mapping[str, Any],
    found: Mapping[str, Any],
    class_names: Sequence[str],
    path: str | Path,
    *,
    min_score: float = 0.3,
    most: int = MOST,
) -> Path:
    """Images with the boxes that are there, dashed, and those that were found, with class and score.

    Args:
        images: `(N, H, W, C)`, pixels in [0, 255], 1 or 3 channels.
        truth: `"boxes_xyxy"` `(N, M, 4)` in pixels, `"labels"` `(N, M)` in [0, K), or -1 for no box.
        found: `"boxes_xyxy"` `(N, D, 4)` in pixels, `"scores"` `(N, D)` and `"classes"` `(N, D)`; a box of
            class -1 or score 0 is none.
        class_names: K of them.
        path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
        min_score: Boxes found with less are not drawn.
        most: How many images are shown, chosen evenly.

    Returns:
        The path.

    Raises:
        ValueError: The arrays do not fit each other, or the path ends in something else.
    """
    images, names = _pixels(images), _names(class_names)
    min_score = check_number("min_score", min_score)
    real = _same_number("truth", true_boxes(truth, num_classes=len(names)), images)
    said = _same_number("found", found_boxes(found, num_classes=len(names)), images)
    said["labels"] = np.where(said["scores"] >= min_score, said["labels"], -1)
    shown = _evenly(len(images), most)
    panels, words = [], []
    for i in shown:
        trues, founds = real["labels"][i] >= 0, np.flatnonzero(said["labels"][i] >= 0)
        founds = founds[np.argsort(-said["scores"][i, founds], kind="stable")]
        there = [names[k] for k in real["labels"][i, trues]]
        answers = [_Line("", names[said["labels"][i, j]], f" {said['scores'][i, j]:.2f}") for j in founds]
        above = [_Line(f"#{i} true: ", ", ".join(there) or "nothing")]
        boxes = real["boxes_xyxy"][i, trues], said["boxes_xyxy"][i, founds]
        panels.append(_Panel(images[i], above, truth_xyxy=boxes[0], found_xyxy=boxes[1], found=answers))
        spoken = [line.name + line.after for line in answers]
        words.append(f"#{i}: true {_listed(there, boxes[0])}; found {_listed(spoken, boxes[1])}.")
    marks = f"Dashed: true. Solid, with class and score: found with a score of {min_score:g} or more."
    about = f"{_share(shown, images)} {marks}"
    return _save(_Sheet("Images, true boxes and boxes found", about, words, panels, columns=3), path)


def _pixels(images: Any) -> np.ndarray:
    """`(N, H, W, 3)`, uint8."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[3] not in (1, 3) or not images.size:
        raise ValueError(f"`images` must have shape (N, H, W, 1 or 3), got shape={images.shape}.")
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 255):  # so written, NaN is refused too
        raise ValueError(
            f"`images` must have pixels in [0, 255], got {low} to {high}: give them as they were before any "
            "normalisation."
        )
    return np.broadcast_to(np.rint(images).astype(np.uint8), (*images.shape[:3], 3))


def _names(class_names: Any) -> list[str]:
    names = list(class_names) if not isinstance(class_names, str) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"`class_names` must be a sequence of strings, got class_names={class_names!r}.")
    return names


def _shaped(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != shape:
        raise ValueError(
            f"`{name}` must have shape {shape} to fit `images` and `class_names`, got shape={values.shape}."
        )
    return values


def _classes(
    name: str, values: Any, shape: tuple[int, ...], num_classes: int, *, also: int | None = None
) -> np.ndarray:
    values = _shaped(name, values, shape)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be integers, got dtype={values.dtype}: use argmax or astype('int64')."
        )
    wrong = values[((values < 0) | (values >= num_classes)) & (also is None or values != also)]
    if len(wrong):
        raise ValueError(f"`{name}` must be in [0, {num_classes}), one for each class name, got {wrong[0]}.")
    return values.astype(np.int64)


def _same_number(name: str, given: Arrays, images: np.ndarray) -> Arrays:
    if len(given["labels"]) != len(images):
        raise ValueError(
            f"`{name}` must be of as many images as `images`, {len(images)}, got {len(given['labels'])}."
        )
    return given


def _evenly(count: int, most: int) -> np.ndarray:
    """Which of `count` images are shown, `(min(count, most),)`."""
    return np.linspace(0, count - 1, min(count, whole_number("most", most, at_least=1))).round().astype(int)


def _share(shown: np.ndarray, images: np.ndarray) -> str:
    if len(shown) < len(images):
        return f"{len(shown)} of {len(images):,} images."
    return f"All {len(images)} images." if len(images) > 1 else "One image."


def _occurring(mask: np.ndarray, names: Sequence[str]) -> str:
    return ", ".join(names[k] for k in np.unique(mask) if k >= 0) or "not labelled"


def _listed(names: Sequence[str], boxes_xyxy: np.ndarray) -> str:
    corners = (", ".join(f"{side:.0f}" for side in box) for box in boxes_xyxy)
    return ", ".join(f"{name} at ({box})" for name, box in zip(names, corners, strict=True)) or "nothing"


def _painted(mask: np.ndarray, *, repeats: int = REPEATS) -> np.ndarray:
    """Classes `(H, W)`, -1 for none, as enlarged colours and patterns, `(f * H, f * W, 3)`, uint8."""
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(colour) for colour in (*COLOURS, BLACK, GREY)])
    light = colours @ [0.299, 0.587, 0.114] > 0.45
    marks = 0.45 * colours + np.where(light, 0, 0.55)[:, None]
    table = np.rint(255 * np.stack([colours, marks])).astype(np.uint8)  # (2, colours, 3)
    factor = math.ceil(FINE / max(mask.shape))
    mask = mask.repeat(factor, axis=0).repeat(factor, axis=1)
    chosen = np.where(mask > 0, (mask - 1) % len(COLOURS), len(COLOURS) - mask)
    return table[_marked(mask, round(max(mask.shape) / repeats)).astype(np.intp), chosen]


def _marked(mask: np.ndarray, period: int) -> np.ndarray:
    """Where the pattern of a pixel's class has a mark, `(H, W)`, bool."""
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    plain = np.zeros(mask.shape, bool)
    slash, backslash, line = ((plain + place) % period < period // 4 for place in (x + y, x - y, y))
    dot = (x % period - period / 2) ** 2 + (y % period - period / 2) ** 2 < (0.28 * period) ** 2
    pattern = np.choose((mask - 1) % PATTERNS, [plain, slash, backslash, line, dot])
    return np.choose(np.sign(mask) + 1, [slash | backslash, plain, pattern])


def _save(sheet: _Sheet, path: str | Path) -> Path:
    import matplotlib

    path = Path(path)
    kind = path.suffix.lower()
    if kind not in _WORDS:
        raise ValueError(f"`path` must end in .png, .svg or .pdf, got path={str(path)!r}.")
    undated: dict[str, None] = {} if kind == ".png" else {"Date" if kind == ".svg" else "CreationDate": None}
    words = " ".join([f"{sheet.title}.", sheet.about, *sheet.words])
    metadata = {"Title": sheet.title, _WORDS[kind]: words, **undated}
    with matplotlib.rc_context(STYLE), replacing(path) as temporary:
        _drawn(sheet).savefig(temporary, dpi=DOTS, metadata=metadata)
    return path


def _drawn(sheet: _Sheet) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(sheet.columns, len(sheet.panels))
    groups = columns // sheet.group
    gaps = (groups - 1) * APART + groups * (sheet.group - 1) * NEAR
    cell = min((WIDTH - 2 * MARGIN - gaps) / columns, LARGEST)
    tall, wide = sheet.panels[0].pixels.shape[:2]
    high = LINE * len(sheet.panels[0].above) + 0.06 + cell * tall / wide  # of a panel with what is above it
    rows = math.ceil(len(sheet.panels) / columns)
    legend = _legend_rows(sheet.legend)
    top = 0.82
    height = top + rows * high + (rows - 1) * APART / 2 + MARGIN + ROW * len(legend)
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(MARGIN / WIDTH, 1 - 0.18 / height, sheet.title, size=14, weight="bold", va="top")
    figure.text(MARGIN / WIDTH, 1 - 0.54 / height, sheet.about, size=9.5, va="top")
    for number, panel in enumerate(sheet.panels):
        row, column = divmod(number, columns)
        x = MARGIN + column * (cell + NEAR) + column // sheet.group * (APART - NEAR)
        y = height - top - row * (high + APART / 2) - high
        axes = figure.add_axes((x / WIDTH, y / height, cell / WIDTH, cell * tall / wide / height))
        _draw_panel(axes, panel, cell)
    _draw_legend(figure, legend)
    return figure


def _draw_panel(axes: Axes, panel: _Panel, cell: float) -> None:
    """Draws a panel, `cell` inches wide; the pixel of column c fills `[c, c + 1]` of the x axis."""
    height, width = panel.pixels.shape[:2]
    axes.imshow(panel.pixels, extent=(0, width, height, 0), aspect="auto")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(edgecolor=PALE, linewidth=0.8)
    if panel.wrong:
        axes.spines[:].set(edgecolor=INK, linewidth=3, linestyle=(0, (2.5, 1.5)), capstyle="butt")
        cross = {"facecolor": "white", "edgecolor": INK, "linewidth": 0.8, "pad": 2}
        axes.text(0.955, 0.945, "✕", size=11, ha="right", va="top", transform=axes.transAxes, bbox=cross)
    for number, line in enumerate(reversed(panel.above)):
        axes.annotate(
            _fitted(line, 72 * cell),
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 4 + 72 * LINE * number),
            textcoords="offset points",
            size=CAPTION,
            weight="bold" if line.bold else "normal",
            parse_math=False,
        )
    for boxes, how in ((panel.truth_xyxy, "truth"), (panel.found_xyxy, "found")):
        for box in boxes:
            _draw_box(axes, box, how)
    _draw_answers(axes, panel, 72 * cell)


def _draw_box(axes: Axes, box: np.ndarray, how: str) -> None:
    """Draws a light line, dashed for the truth, on a dark one: seen on light and on dark pixels."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    left, top, right, bottom = box.tolist()
    found = how == "found"
    line: Any = {"edgecolor": LIGHT if found else "white", "linewidth": 1.8 if found else 1.1}
    unbroken = {"dash_offset": 0, "dash_list": None}
    under = withStroke(linewidth=line["linewidth"] + 1.4, foreground=INK, dashes=unbroken)
    dashes = "solid" if found else (0, (4, 3))
    size = right - left, bottom - top
    axes.add_patch(
        Rectangle((left, top), *size, fill=False, **line, linestyle=dashes, gid=how, path_effects=[under])
    )


def _draw_answers(axes: Axes, panel: _Panel, points: float) -> None:
    """Writes class and score beside the boxes found, in a panel that is so many points wide."""
    shape = panel.pixels.shape[:2]
    pixel = points / shape[1]
    taken = np.zeros((0, 4))
    for box, line in zip(panel.found_xyxy, panel.found, strict=True):
        answer = _fitted(line, 0.6 * points, TINY)
        size = (_width(answer, TINY) + 4) / pixel, 1.5 * TINY / pixel
        place = _free_place(box, size, shape, taken)
        taken = np.concatenate([taken, place[None]])
        axes.text(
            place[[0, 2]].mean(),
            place[[1, 3]].mean(),
            answer,
            size=TINY,
            ha="center",
            va="center_baseline",
            parse_math=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )


def _free_place(
    box: np.ndarray, size: tuple[float, float], shape: tuple[int, ...], taken: np.ndarray
) -> np.ndarray:
    """Where a text of `size` covers other texts least: above or below its box, in it, or somewhere beside."""
    (wide, high), (height, width) = size, shape
    left, top, right, bottom = box
    wanted = [(x, y) for y in (top - high, bottom, top, bottom - high) for x in (left, right - wide)]
    wanted += [(x, y) for y in np.arange(0, height - high, high / 2) for x in (left, right, left - wide)]
    corners = np.clip(wanted, 0, [max(width - wide, 0), max(height - high, 0)])
    places = np.concatenate([corners, corners + np.array([wide, high])], axis=1)  # (places, 4)
    shared = np.minimum(places[:, None, 2:], taken[:, 2:]) - np.maximum(places[:, None, :2], taken[:, :2])
    return places[np.maximum(shared, 0).prod(axis=2).sum(axis=1).argmin()]


def _legend_rows(entries: Sequence[tuple[str, int]]) -> list[list[tuple[float, str, int]]]:
    """Rows of `(x in inches, name, class)` that fit into the picture."""
    rows: list[list[tuple[float, str, int]]] = []
    x = math.inf
    for entry, label in entries:
        name = _fitted(_Line("", entry), 72 * 2.2)
        taken = SWATCH[0] / 100 + 0.08 + _width(name, CAPTION) / 72
        if x + taken > WIDTH - MARGIN:
            rows.append([])
            x = MARGIN
        rows[-1].append((x, name, label))
        x += taken + 0.2
    return rows


def _draw_legend(figure: Figure, rows: Sequence[Sequence[tuple[float, str, int]]]) -> None:
    """Draws the rows at the bottom, in axes whose unit is an inch."""
    if not rows:
        return
    height = 0.12 + ROW * len(rows)
    axes = figure.add_axes((0, 0, 1, height / figure.get_figheight()), gid="legend")
    for number, row in enumerate(reversed(rows)):
        y = 0.12 + ROW * number
        for x, name, label in row:
            swatch = _painted(np.full((SWATCH[1], SWATCH[0]), label), repeats=5)
            axes.imshow(swatch, extent=(x, x + SWATCH[0] / 100, y, y + SWATCH[1] / 100))
            axes.text(
                x + SWATCH[0] / 100 + 0.08,
                y + SWATCH[1] / 200,
                name,
                size=CAPTION,
                va="center",
                parse_math=False,
            )
    axes.set(xlim=(0, WIDTH), ylim=(0, height), aspect="auto")
    axes.axis("off")


def _fitted(line: _Line, points: float, size: float = CAPTION) -> str:
    """The text of a line, its name shortened until it fits."""
    name = line.name
    text = line.before + name + line.after
    while name and _width(text, size, bold=line.bold) > points - 1:
        name = name[:-1]
        text = f"{line.before}{name.rstrip()}…{line.after}"
    return text


def _width(text: str, size: float, *, bold: bool = False) -> float:
    """Of a text, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    return text_to_path.get_text_width_height_descent(text, font, False)[0]
