"""Annotations in COCO's JSON format: which objects are where in which image file."""

from __future__ import annotations

import dataclasses
import functools
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_PARTS = ("images", "annotations", "categories")
_FIELDS = {
    "images": ("id", "file_name"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
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
    categories = sorted(_items(content, "categories", file), key=lambda category: category["id"])
    images = list(_items(content, "images", file))
    names = tuple(str(image["file_name"]) for image in images)
    if len(set(names)) < len(names):
        raise ValueError(f"{file} must not have two images with one file_name: merge them.")
    numbers = _positions(images, "images", file), _positions(categories, "categories", file)
    objects = _with_area(list(_objects(content, *numbers, file)), file)
    objects.sort(key=lambda some: some.row)  # stable: the objects of an image keep their order
    return Annotations(
        file=file,
        class_names=tuple(str(category["name"]) for category in categories),
        names=names,
        sizes=tuple(_size(image) for image in images),
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
    content: dict[str, Any], rows: dict[Any, int], labels: dict[Any, int], file: Path
) -> Iterator[_Object]:
    """The annotations that do not stand for a crowd."""
    for item in _items(content, "annotations", file):
        for field, known, whole in (("image_id", rows, "images"), ("category_id", labels, "categories")):
            if item[field] not in known:
                raise ValueError(
                    f"Annotation {item['id']} of {file} has the {field} {item[field]}, which is not among "
                    f"its {whole}: repair or remove it."
                )
        if not item.get("iscrowd"):
            yield _Object(rows[item["image_id"]], labels[item["category_id"]], item["id"], _xyxy(item, file))


def _content(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
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


def _positions(items: list[dict[str, Any]], part: str, file: Path) -> dict[Any, int]:
    """The position of each id."""
    numbers = {item["id"]: position for position, item in enumerate(items)}
    if not items or len(numbers) < len(items):
        problem = "two with one id" if items else "none"
        raise ValueError(f"{file} must have {part} with an id of their own, but there are {problem}.")
    return numbers


def _xyxy(item: dict[str, Any], file: Path) -> tuple[float, float, float, float]:
    try:
        left, top, width, height = map(float, item["bbox"])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Annotation {item['id']} of {file} must have a bbox of four numbers (left, top, width, height), "
            f"got {item['bbox']!r}."
        ) from error
    return left, top, left + width, top + height


def _with_area(objects: list[_Object], file: Path) -> list[_Object]:
    kept = [some for some in objects if not _is_flat(np.array(some.box, np.float32))]
    if len(kept) < len(objects):
        first = next(some.id for some in objects if _is_flat(np.array(some.box, np.float32)))
        warnings.warn(
            f"{file} has boxes without area, which are left out: {len(objects) - len(kept)}, the first of "
            f"them annotation {first}.",
            UserWarning,
            stacklevel=6,
        )
    return kept


def _is_flat(box: np.ndarray) -> bool:
    return bool(box[2] == box[0] or box[3] == box[1])


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    if "height" not in image or "width" not in image:
        return None
    return int(image["height"]), int(image["width"])
