"""How wide the limits of an artifact may be for who verifies it, whatever its manifest says.

An artifact carries the limits with which it was written, and who writes one can write any. Those here are
ours, in units of the stored answers themselves, so that they fit probabilities, pixels and prices. They are
several times as wide as what `export` writes unless it is told otherwise, and far narrower than the
distance to another model: an unrelated classifier differs on average by as much as its answers lie apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from l2zoo.artifacts.inputs import Outputs
from l2zoo.artifacts.parity.limits import Limits, Rounding
from l2zoo.artifacts.parity.metrics import meaning_of_classes
from l2zoo.artifacts.parity.parity import Parity
from l2zoo.artifacts.task_spec import DETECTIONS
from l2zoo.tasks.output_kind import OutputKind

# Of the range of the answers: rounding to 24 bits moves no number by a twentieth, to 11 bits none by a fifth.
_LARGEST = {"float32": 0.05, "float16": 0.2, "int8": 0.2}
_MEAN = 0.25  # of how far answers lie apart; export lets int8 go to a tenth, and `verify` double that
_AGREEMENT = {"float32": 0.9, "float16": 0.9, "int8": 0.75}  # share of decisions that must be the same
# What rounding alone may do where all answers are the same.
_STEP = {"float32": Limits.max_abs_diff, "float16": 1e-3, "int8": 2.0**-8}


def problems(
    limits: Mapping[str, Mapping[str, float]],
    found: Mapping[str, Parity],
    highest: Mapping[str, Mapping[str, float]],
) -> list[str]:
    """A sentence for each limit that is wider than it may be, and for each file that decides otherwise.

    Decisions count where the numbers are off by more than rounding: between two equal ones any may win.

    Args:
        limits: Those that the artifact names, by format.
        found: The figures, by format.
        highest: Of `highest_limits`, by format.
    """
    said = []
    for name, named in limits.items():
        for figure, limit in named.items():
            most = highest[name][figure]
            if limit < most if figure == "argmax_agreement" else limit > most:
                words = "at least" if figure == "argmax_agreement" else "at most"
                said.append(
                    f"The artifact's limit for {name} is {figure}={limit:.3g}, {words} {most:.3g} is "
                    "accepted for answers such as its own."
                )
        agreed, asked = found[name].argmax_agreement, highest[name]["argmax_agreement"]
        if agreed is not None and agreed < asked and found[name].max_abs_diff > Limits.max_abs_diff_float16:
            said.append(
                f"{name} does not answer like the Keras model: argmax agrees on {agreed:.1%}, at least "
                f"{asked:.0%} is asked of any artifact."
            )
    return said


def highest_limits(
    rounding: Rounding, expected: Outputs, kinds: Mapping[str, OutputKind]
) -> dict[str, float]:
    """The highest limit of each figure that a file may be held to; of `argmax_agreement` the lowest.

    Args:
        rounding: Of the file's format.
        expected: The stored answers of the model.
        kinds: What outputs mean, where it is known.
    """
    largest, apart, numbers = 0.0, 0.0, 0
    for name, answers in expected.items():
        values = np.asarray(answers, np.float64)
        classes = meaning_of_classes(values, kinds.get(name), set(expected) == DETECTIONS)
        if classes is not None:
            values = classes.probabilities(values)
        largest = max(largest, float(np.ptp(values)))
        # Of many classes nearly all answers are near 0, and their standard deviation is far above that.
        spread = values.std() if classes is None else np.abs(values - values.mean()).mean()
        apart += float(spread) * values.size
        numbers += values.size
    return {
        # The model itself may round to 16 bits, whatever the file does.
        "max_abs_diff": _LARGEST[rounding] * largest + Limits.max_abs_diff_float16,
        "mean_abs_diff": _MEAN * apart / numbers + _STEP[rounding],
        "relative_diff": _MEAN,
        "argmax_agreement": _AGREEMENT[rounding],
    }
