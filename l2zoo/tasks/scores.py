"""How good answers are, for images with a class, several labels or numbers: NumPy alone.

Keras models and exported files are judged by the same functions, also where nothing but what runs a file is
installed; the figures are scikit-learn's. Masks have `segmentation.overlap`, boxes
`detection.average_precision`.
"""

from __future__ import annotations

import numpy as np

from l2zoo.tasks.output_kind import OutputKind

TOP = 5
CALIBRATION_BINS = 15  # of Guo et al. 2017


def class_scores(outputs: np.ndarray, labels: np.ndarray, kind: OutputKind) -> dict[str, float]:
    """`accuracy`, and `top5` if there are more than five classes.

    Args:
        outputs: `(N, K)`, or `(N, 1)` for two classes.
        labels: `(N,)`, below K.
        kind: What the outputs mean.
    """
    classes = kind.num_classes(outputs.shape[-1])
    scores = {"accuracy": float((kind.decide(outputs) == labels).mean())}
    if classes > TOP:
        first = np.argsort(outputs, axis=1, kind="stable")[:, -TOP:]
        scores["top5"] = float((first == np.reshape(labels, (-1, 1))).any(axis=1).mean())
    return scores


def log_loss(outputs: np.ndarray, labels: np.ndarray, kind: OutputKind) -> float:
    """The mean cross-entropy of answers, as `class_scores` takes them."""
    found = exact_probabilities(outputs, kind)
    smallest = np.finfo(found.dtype).eps  # below which no answer is punished further
    of_true = np.clip(found[np.arange(len(labels)), labels], smallest, 1 - smallest)
    return float(-np.log(of_true).mean())


def calibration_error(outputs: np.ndarray, labels: np.ndarray, kind: OutputKind) -> float:
    """The expected calibration error of answers, as `class_scores` takes them: how far they can be believed.

    `sum over bins b of n_b / N * |accuracy_b - confidence_b|`, over bins of equal width of the probability
    `(0, 1]` of the class that is said; 0 where of all answers given with 80 % just 80 % are right, at most 1.
    That of few images is too high: within a bin, chance alone parts accuracy from confidence.

    References:
        Guo, Pleiss, Sun, Weinberger 2017, On Calibration of Modern Neural Networks (15 bins).
    """
    found, said = exact_probabilities(outputs, kind), kind.decide(outputs)
    confidence = found[np.arange(len(said)), said]
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]
    gaps = np.bincount(np.digitize(confidence, edges, right=True), (said == labels) - confidence)
    return float(np.abs(gaps).sum() / len(said))


def exact_probabilities(outputs: np.ndarray, kind: OutputKind) -> np.ndarray:
    """`(N, K)`, float64, that add up to 1, which float32 misses."""
    found = kind.probabilities(outputs.astype(np.float64))
    return found / found.sum(axis=1, keepdims=True)


def label_scores(said: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """How good several labels an image are.

    Args:
        said: `(N, K)`, bool.
        true: `(N, K)`, bool.

    Returns:
        `label_accuracy`, the share of labels that are right, and `f1`, the mean over the classes of the
        harmonic mean of precision and recall.
    """
    right, both = (said & true).sum(axis=0), said.sum(axis=0) + true.sum(axis=0)
    f1 = np.divide(2 * right, both, out=np.zeros(len(both)), where=both > 0)
    return {"label_accuracy": float((said == true).mean()), "f1": float(f1.mean())}


def all_right(said: np.ndarray, true: np.ndarray) -> float:
    """The share of images with every label right."""
    return float((said == true).all(axis=1).mean())


def value_scores(found: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """`mae` and `rmse`, in the units of the numbers, the mean over all of them; and `r2`, at most 1.

    Args:
        found: `(N, D)`.
        wanted: `(N,)` or `(N, D)`.
    """
    off = columns(found) - columns(wanted)
    return {
        "mae": float(np.abs(off).mean()),
        "rmse": float(np.sqrt(np.square(off).mean(axis=0)).mean()),
        "r2": explained(found, wanted),
    }


def explained(found: np.ndarray, wanted: np.ndarray) -> float:
    """`r2`, the share of the variance of numbers that is explained, the mean over their columns.

    Of numbers that are all the same it is 1 where all are found, else 0; of one image alone it is NaN.
    """
    wanted, found = columns(wanted), columns(found)
    if len(wanted) < 2:
        return float("nan")
    left = np.square(found - wanted).sum(axis=0)
    whole = np.square(wanted - wanted.mean(axis=0)).sum(axis=0)
    share = np.divide(left, whole, out=np.where(left > 0, 1.0, 0.0), where=whole > 0)
    return float((1 - share).mean())


def columns(values: np.ndarray) -> np.ndarray:
    """Numbers `(N,)` or `(N, D)` as `(N, D)`, float64."""
    return np.asarray(values, np.float64).reshape(len(values), -1)
