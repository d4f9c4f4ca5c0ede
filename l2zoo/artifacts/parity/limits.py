"""How far an exported file may be from the Keras model: by numbers if it is float, by decisions if not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from l2zoo.artifacts.parity.parity import Parity
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import check_number

Rounding = Literal["float32", "float16", "int8"]
"""To what the numbers of a format are rounded."""


@suggest_arguments
@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is asked of exported files, by the rounding of their format.

    A float32 file is held to `max_abs_diff`; a detector's, where rounding has decided between two boxes of
    one score, to the same number on average, and to a tenth of `metric_drop` if `measure` was given. A
    float16 file is held to `max_abs_diff_float16`; where it is further off (a pixel at an edge, a box that
    appears or vanishes, an answer in pixels), to `metric_drop` if `measure` was given, or else, if no output
    has classes, to `relative_diff_float16`. An int8 or dynamic-range file is held to `metric_drop` if
    `measure` was given; else to `argmax_agreement` in its outputs with classes and to `relative_diff` in the
    others. Limits so wide that `verify` would refuse the artifact (`l2zoo.artifacts.parity.ceilings`) are
    warned of.

    Args:
        max_abs_diff: Largest absolute difference of any output number, in the units of the outputs.
        max_abs_diff_float16: Likewise.
        metric_drop: By how much a metric may fall on the sample; 0.01 is a point of accuracy.
        argmax_agreement: Least share in [0, 1] of equal decisions.
        relative_diff: Largest mean absolute difference of an output, in standard deviations of the output
            (over the sample); 0.1 is a signal-to-noise ratio of about 20 dB.
        relative_diff_float16: Likewise.
    """

    max_abs_diff: float = 1e-4
    max_abs_diff_float16: float = 1e-2
    metric_drop: float = 0.01
    argmax_agreement: float = 0.98
    relative_diff: float = 0.1
    relative_diff_float16: float = 0.01

    def __post_init__(self) -> None:
        for field in fields(self):
            check_number(field.name, getattr(self, field.name))
        if self.argmax_agreement > 1:
            raise ValueError(
                f"`argmax_agreement` must be in [0, 1], got argmax_agreement={self.argmax_agreement}."
            )

    def of(self, rounding: Rounding, found: Parity) -> dict[str, float]:
        """The figures that decide about a file, each with its limit."""
        if rounding == "float32":
            return self._of_float32(found)
        if rounding == "float16" and found.max_abs_diff <= self.max_abs_diff_float16:
            return {"max_abs_diff": self.max_abs_diff_float16}
        if found.metrics:
            return {"metric_drop": self.metric_drop}
        if rounding == "float16" and found.argmax_agreement is not None:
            return {"max_abs_diff": self.max_abs_diff_float16}
        if rounding == "float16":
            return {"relative_diff": self.relative_diff_float16}
        return {
            name: getattr(self, name)
            for name in ("argmax_agreement", "relative_diff")
            if getattr(found, name) is not None
        }

    def _of_float32(self, found: Parity) -> dict[str, float]:
        if not found.final_boxes or found.max_abs_diff <= self.max_abs_diff:
            return {"max_abs_diff": self.max_abs_diff}
        drop = {"metric_drop": self.metric_drop / 10} if found.metrics else {}
        return {"mean_abs_diff": self.max_abs_diff, **drop}


def on_kept(limits: Mapping[str, float], kept: Parity) -> dict[str, float]:
    """What `verify` asks on the few inputs that an artifact keeps, which may have no labels.

    A limit on the largest or the mean difference holds for them too. A file that was judged otherwise must
    stay as close as it was when it was written: the mean difference may double, as other processors round
    otherwise.
    """
    if "max_abs_diff" in limits:
        return dict(limits)
    if "mean_abs_diff" in limits:
        return {"mean_abs_diff": limits["mean_abs_diff"]}
    return {"mean_abs_diff": 2 * kept.mean_abs_diff + 1e-6}
