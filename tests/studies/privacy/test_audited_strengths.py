"""Who is a member in an audit over strengths, and who is not."""

from __future__ import annotations

import numpy as np
import pytest

from l2zoo.data import load
from l2zoo.studies.privacy import members_and_others


def images(groups: np.ndarray | None = None):
    """200 images of which each has its number in its pixels."""
    pixels = np.zeros((200, 8, 8), np.uint8)
    pixels[:, 0, 0] = np.arange(200)
    return load((pixels, np.arange(200) % 2), groups=groups)


def numbers(part: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return part[0][:, 0, 0, 0]


def test_members_and_others_are_as_many_and_have_nothing_in_common() -> None:
    members, others = members_and_others(images(), 80)
    assert len(numbers(members)) == len(numbers(others)) == 80
    assert not set(numbers(members)) & set(numbers(others))
    for part in (members, others):
        np.testing.assert_array_equal(part[1], numbers(part) % 2)


def test_the_seed_decides_the_division() -> None:
    first, again, other = (numbers(members_and_others(images(), 80, seed=s)[0]) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_members_and_others_are_of_different_groups() -> None:
    groups = np.random.default_rng(0).integers(0, 20, 200)
    members, others = members_and_others(images(groups), 80)
    assert len(numbers(members)) == len(numbers(others)) == 80
    assert not set(groups[numbers(members)]) & set(groups[numbers(others)])


@pytest.mark.parametrize(
    ("count", "message"),
    [(101, "at most 100, half of what there is, got images=101"), (0, "`images` must be")],
)
def test_an_impossible_count_is_refused(count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        members_and_others(images(), count)


def test_one_large_group_leaves_too_few_others() -> None:
    data = images(np.arange(200) // 150)
    with pytest.raises(ValueError, match="must leave as many others, got images=90 and 50 of other groups"):
        members_and_others(data, 90)
