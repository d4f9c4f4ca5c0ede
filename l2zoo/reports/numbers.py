"""Numbers and names as text: strengths, metrics, means, durations. One way to spell each, everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


def metric_name(metric: str) -> str:
    """A metric as people read it.

    Example:
        >>> metric_name("val_mean_iou")
        'mean iou'
    """
    return metric.removeprefix("val_").replace("_", " ")


def metric_title(metric: str) -> str:
    """A metric as it stands at an axis or in a heading.

    Example:
        >>> metric_title("val_mean_iou")
        'Mean iou'
    """
    return metric_name(metric).capitalize()


def format_strength(strength: float) -> str:
    """A strength as people write it.

    Example:
        >>> [format_strength(s) for s in (0.0, 1e-6, 10**-4.5, 0.01, 0.1, 3.0)]
        ['0', '1e-6', '3.16e-5', '0.01', '0.1', '3']
    """
    if strength == 0 or 1e-3 <= strength < 1e4:
        return f"{strength:.3g}"
    mantissa, exponent = f"{strength:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def is_number(value: Any) -> bool:
    """Whether a hyperparameter's value has a place on an axis of numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def format_value(value: Any) -> str:
    """A hyperparameter's value as people write it.

    Example:
        >>> [format_value(value) for value in (0.0001, 32, 0.5, True, "relu")]
        ['1e-4', '32', '0.5', 'True', 'relu']
    """
    if isinstance(value, float) and math.isfinite(value) and value >= 0:
        return format_strength(value)
    return str(value)


def format_duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> [format_duration(seconds) for seconds in (0.42, 42.4, 200, 4350)]
        ['0.4 s', '42 s', '3 min', '1 h 12 min']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def three_digits(number: float) -> str:
    """A number > 0 with three digits that tell something, or all of its whole ones.

    Example:
        >>> three_digits(0.012345), three_digits(12.345), three_digits(12345)
        ('0.0123', '12.3', '12345')
    """
    return f"{number:.{max(0, 2 - math.floor(math.log10(number)))}f}"


def decimals(values: Iterable[float], *, usual: int) -> int:
    """Decimals that scores need: `usual` for shares and losses about 1, fewer for large ones, more for tiny.

    Args:
        values: Scores of one kind.
        usual: Where the largest is between 0.01 and 10.

    Example:
        >>> [decimals([score], usual=4) for score in (0.93, 2.5, 123.4, 54321.0, 0.0012)]
        [4, 4, 2, 0, 6]
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if not largest or 0.01 <= largest < 10:
        return usual
    size = math.floor(math.log10(largest))
    return max(0, usual - size) if size > 0 else min(usual - 1 - size, 12)


def format_mean(mean: float, error: float | None = None, *, digits: int = 3) -> str:
    """A mean and its standard error, where there is one.

    Example:
        >>> format_mean(0.91234, 0.00456), format_mean(0.5, digits=4), format_mean(math.nan)
        ('0.912 ± 0.005', '0.5000', '-')
    """
    if not math.isfinite(mean):
        return "-"
    spread = "" if error is None or not math.isfinite(error) else f" ± {error:.{digits}f}"
    return f"{mean:.{digits}f}{spread}"


def format_difference(value: float | None, *, digits: int = 3) -> str:
    """A difference with its sign, never -0.000; nothing where there is none.

    Example:
        >>> format_difference(0.0123), format_difference(-0.0001), format_difference(None)
        ('+0.012', '+0.000', '')
    """
    if value is None or not math.isfinite(value):
        return ""
    return f"{round(value, digits) + 0.0:+.{digits}f}"
