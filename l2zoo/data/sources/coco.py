"""Annotations in COCO's JSON format, as labelling tools write it: which objects are where in which image.

Ids are texts or numbers, and "7" is 7. Sizes may be missing. A box that is missing is that of the object's
outline.
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from l2zoo.utils.caller import outside
from l2zoo.utils.storage.reading import read_json

_PARTS = ("images", "annotations", "categories")
_FIELDS = {
    "images": ("id", "file_name"),
    "annotations": ("image_id", "category_id"),
    "categories": ("id", "name"),
}


@dataclasses.dataclass(frozen=True)
class Annotations:
    """The objects of a file of annotations, without those that stand for a crowd.

    Attributes:
        file: The file.
        class_names: K names, in the order of the categories' ids.
        names: The n image files, in the order of the file.
        sizes: `(H, W)` of each, or `None` where the file does not say.
        rows: The number of its image for each object, `(T,)`, ascending.
        boxes_xyxy: `(T, 4)`, in pixels.
        labels: `(T,)`, in `[0, K)`.
        ids: The ids of the annotations, `(T,)`.
    """

    file: Path
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    sizes: tuple[tuple[int, int] | None, ...]
    rows: np.ndarray
    boxes_xyxy: np.ndarray
    labels: np.ndarray
    ids: np.ndarray


def read(file: Path) -> Annotations:
    """Reads a file of annotations; once, as long as it is not written again.

    Boxes without area are left out with a warning: COCO's own annotations have some.

    Raises:
        ValueError: It is not in COCO's format, or an annotation names an image or a category that is not
            there.
    """
    return _read(file, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _read(file: Path, written: int) -> Annotations:
    content = _content(file)
    categories = sorted(_items(content, "categories", file), key=lambda category: _order(category["id"]))
    items = list(_items(content, "annotations", file))
    categories = _without_headings(categories, {_key(item["category_id"]) for item in items})
    images = list(_items(content, "images", file))
    names = tuple(str(image["file_name"]) for image in images)
    if len(set(names)) < len(names):
        raise ValueError(f"{file} must not have two images with one file_name: merge them.")
    numbers = _positions(images, "images", file), _positions(categories, "categories", file)
    objects = _with_area(list(_objects(items, *numbers, file)), file)
    objects.sort(key=lambda some: some.row)  # stable: the objects of an image keep their order
    return Annotations(
        file=file,
        class_names=tuple(str(category["name"]) for category in categories),
        names=names,
        sizes=tuple(_size(image, file) for image in images),
        rows=np.array([some.row for some in objects], np.int64),
        boxes_xyxy=np.array([some.box for some in objects], np.float64).reshape(-1, 4),
        labels=np.array([some.label for some in objects], np.int64),
        ids=np.array([some.id for some in objects]),
    )


class _Object(NamedTuple):
    row: int
    label: int
    id: Any
    box: tuple[float, float, float, float]


def _objects(
    items: list[dict[str, Any]], rows: dict[str, int], labels: dict[str, int], file: Path
) -> Iterator[_Object]:
    """The annotations that do not stand for a crowd."""
    for position, item in enumerate(items):
        name = item.get("id", f"number {position}")
        for field, known, whole in (("image_id", rows, "images"), ("category_id", labels, "categories")):
            if _key(item[field]) not in known:
                raise ValueError(
                    f"Annotation {name} of {file} has the {field} {item[field]}, which is not among its "
                    f"{whole}: repair or remove it."
                )
        if not _is_crowd(item):
            row, label = rows[_key(item["image_id"])], labels[_key(item["category_id"])]
            yield _Object(row, label, name, _xyxy(item, name, file))


def _content(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file, finite=False)
    except ValueError as error:  # JSON, or not even text
        raise ValueError(f"{file} is not JSON ({error}): expected annotations in COCO's format.") from error
    if isinstance(content, dict) and all(isinstance(content.get(part), list) for part in _PARTS):
        return content
    got = f"the keys {', '.join(content)}" if isinstance(content, dict) else f"a {type(content).__name__}"
    raise ValueError(
        f"{file} is not in COCO's format: expected the lists {', '.join(_PARTS)}, got {got or 'no keys'}."
    )


def _items(content: dict[str, Any], part: str, file: Path) -> Iterator[dict[str, Any]]:
    """The items of a list, each of which has its fields."""
    for position, item in enumerate(content[part]):
        missing = [field for field in _FIELDS[part] if not isinstance(item, dict) or field not in item]
        if missing:
            raise ValueError(
                f"{file} is not in COCO's format: {part}[{position}] has no {' and no '.join(missing)}."
            )
        yield item


def _positions(items: list[dict[str, Any]], part: str, file: Path) -> dict[str, int]:
    """The position of each id."""
    numbers = {_key(item["id"]): position for position, item in enumerate(items)}
    if not items or len(numbers) < len(items):
        problem = "two with one id" if items else "none"
        raise ValueError(f"{file} must have {part} with an id of their own, but there are {problem}.")
    return numbers


def _key(number: Any) -> str:
    """An id as a text, so that 7, 7.0 and "7" are one."""
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    return str(number).strip()


def _order(number: Any) -> tuple[bool, int, str]:
    """Where an id stands: numbers first, in their order, whether they are written as texts or not."""
    key = _key(number)
    return (False, int(key), "") if key.isdecimal() else (True, 0, key)


def _without_headings(categories: list[dict[str, Any]], used: set[str]) -> list[dict[str, Any]]:
    """The categories without those that no object has and that only name a group of others.

    Roboflow writes such a one, which belongs to nothing itself, before the classes.
    """
    groups = {str(category.get("supercategory")) for category in categories}
    return [
        category
        for category in categories
        if _key(category["id"]) in used
        or category.get("supercategory") not in (None, "", "none")
        or str(category["name"]) not in groups
    ]


def _is_crowd(item: dict[str, Any]) -> bool:
    return str(item.get("iscrowd") or 0).strip().lower() not in ("0", "0.0", "false", "no")


def _xyxy(item: dict[str, Any], name: Any, file: Path) -> tuple[float, float, float, float]:
    box = item.get("bbox")
    if not box and _is_outline(item.get("segmentation")):
        corners = np.concatenate([np.reshape(part, (-1, 2)) for part in item["segmentation"]]).astype(float)
        (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return left, top, right, bottom
    try:
        left, top, width, height = map(float, box)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Annotation {name} of {file} must have a bbox of four numbers (left, top, width, height), or a "
            f"segmentation of polygons, got {box!r}."
        ) from error
    return left, top, left + width, top + height


def _is_outline(segmentation: Any) -> bool:
    """Whether it is a list of polygons, each of at least three corners x1, y1, x2, y2, ..."""
    return (
        isinstance(segmentation, list)
        and bool(segmentation)
        and all(isinstance(part, list) and len(part) >= 6 and len(part) % 2 == 0 for part in segmentation)
    )


def _with_area(objects: list[_Object], file: Path) -> list[_Object]:
    kept = [some for some in objects if not _is_flat(np.array(some.box, np.float32))]
    if len(kept) < len(objects):
        first = next(some.id for some in objects if _is_flat(np.array(some.box, np.float32)))
        warnings.warn(
            f"{file} has boxes without area, which are left out: {len(objects) - len(kept)}, the first of "
            f"them annotation {first}.",
            UserWarning,
            stacklevel=outside(),
        )
    return kept


def _is_flat(box: np.ndarray) -> bool:
    return bool(box[2] == box[0] or box[3] == box[1])


def _size(image: dict[str, Any], file: Path) -> tuple[int, int] | None:
    sides = image.get("height"), image.get("width")
    if any(side in (None, "", 0, "0") for side in sides):
        return None
    try:
        height, width = (int(float(side)) for side in sides)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The image {image['file_name']} of {file} must have numbers for height and width, or none, got "
            f"{sides[0]!r} and {sides[1]!r}."
        ) from error
    return height, width
