"""Numbers as text: strengths, names of metrics, durations. One way to spell each, everywhere."""

from __future__ import annotations


def metric_name(metric: str) -> str:
    """A metric as people read it.

    Example:
        >>> metric_name("val_mean_iou")
        'mean iou'
    """
    return metric.removeprefix("val_").replace("_", " ")


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
