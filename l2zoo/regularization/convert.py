"""One number in everybody's words: what an L2 strength of one system is in another.

Every system adds a multiple of `sum(w ** 2)` to some data loss; they differ in the factor and in how
the data loss is averaged. Everything here goes through Keras's own form, `lambda`, in
`loss = data_loss + lambda * sum(w ** 2)`, where `data_loss` is a mean over the examples.
"""

from __future__ import annotations

import itertools
import math
import numbers
from dataclasses import dataclass
from typing import Any

from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import one_of

#: The conventions in which a policy's strength can be given.
CONVENTIONS = ("keras", "pytorch", "mean")

#: Every system `convert` knows.
SYSTEMS = (*CONVENTIONS, "sklearn_ridge", "sklearn_logistic", "glmnet", "keras_weight_decay")

#: The data losses of the Keras model: both are means over the examples.
DATA_LOSSES = ("mse", "crossentropy")

# Whether `weight_decay` of PyTorch's optimizer of that name is added to the gradient (the penalty's own
# step, whatever the optimizer then makes of it) or shrinks the weights beside it (decoupled).
_PYTORCH_DECAY_IS_A_GRADIENT = {
    "sgd": True,
    "adam": True,
    "adamax": True,
    "nadam": True,
    "adagrad": True,
    "adadelta": True,
    "rmsprop": True,
    "adamw": False,
    "muon": False,
}

# The data loss that a system is bound to: its number means nothing for the other one.
_BOUND_TO = {"sklearn_ridge": "mse", "sklearn_logistic": "crossentropy"}


def to_lambda(strength: float, *, convention: str, num_parameters: int | None = None) -> float:
    """Gives the coefficient of `sum(w ** 2)` that a strength means.

    With strength `s` and a model of `m` parameters:

    - `"keras"`: the penalty is `s * sum(w ** 2)`, so lambda = s;
    - `"pytorch"`: the penalty is `s / 2 * sum(w ** 2)`, so lambda = s / 2. Its gradient is `s * w`: that is
      what `weight_decay` adds in PyTorch's SGD, and what He et al. 2015 mean by 1e-4;
    - `"mean"`: the penalty is `s / (2 * m) * sum(w ** 2)`, so lambda = s / (2 * m).

    Args:
        strength: The number a person gives, finite and >= 0.
        convention: One of `CONVENTIONS`.
        num_parameters: `m`, at least 1; only `"mean"` needs it.

    Returns:
        lambda, >= 0.

    Raises:
        TypeError: If `strength` or `num_parameters` is no number.
        ValueError: If one is out of range or missing, or the convention is unknown.

    Example:
        >>> to_lambda(1e-4, convention="pytorch")
        5e-05
    """
    _check_name(convention, name="convention", known=CONVENTIONS)
    _check_number(strength, name="strength")
    needs = _Needs(num_parameters=num_parameters)
    return float(strength / needs.divisor(convention))


@suggest_arguments
def convert(
    value: float,
    *,
    source: str,
    target: str,
    data_loss: str | None = None,
    num_samples: int | None = None,
    num_outputs: int = 1,
    num_parameters: int | None = None,
    target_std: float | None = None,
    optimizer: str = "sgd",
    momentum: float = 0.0,
) -> float:
    """Says one system's L2 strength in the words of another, exactly or not at all.

    With `n` examples, `K` values per example that the Keras loss takes its mean over, `m` parameters:

    | system | it minimises, or steps | lambda |
    |---|---|---|
    | `keras` | `data_loss + s * sum(w ** 2)` | `s` |
    | `pytorch` | `data_loss + s / 2 * sum(w ** 2)`: `w -= lr * (g + s * w)` | `s / 2` |
    | `mean` | `data_loss + s / (2 * m) * sum(w ** 2)` | `s / (2 * m)` |
    | `sklearn_ridge` | `sum((y - f) ** 2) + alpha * sum(w ** 2)` | `alpha / (n * K)` |
    | `sklearn_logistic` | `C * sum(log_loss) + sum(w ** 2) / 2` | `1 / (2 * C * n * K)` |
    | `glmnet`, `mse` | `sum((y - f) ** 2) / (2 * n) + g / (2 * std(y)) * sum(w ** 2)` | `g / std(y)` |
    | `glmnet`, `mse`, K > 1 | `sum((y - f) ** 2) / (2 * n) + g / 2 * sum(w ** 2)` | `g / K` |
    | `glmnet`, `crossentropy` | `sum(log_loss) / n + g / 2 * sum(w ** 2)` | `g / (2 * K)` |
    | `keras_weight_decay` | `w -= lr * wd * w; w -= lr * g` | `wd / 2` |

    How they come about:

    - *pytorch*: the penalty's gradient is `s * w`, which PyTorch adds to the gradient before its optimizer
      sees it: exact with momentum and for Adam too, but not for AdamW.
    - *mean*: textbooks write it beside `sum((y - f) ** 2) / (2 * n)`; Keras's `mse` has no 1/2, so double
      such an `s` to weigh the same against it.
    - *Ridge*: its objective over `n * K` is Keras's `mse` plus `alpha / (n * K) * sum(w ** 2)`.
    - *LogisticRegression*: its objective over `C * n` is the mean log-loss plus
      `1 / (2 * C * n) * sum(w ** 2)`. C is the inverse of a strength: no penalty is `C = inf`. With two
      classes scikit-learn has one vector of weights; its Keras twin is one sigmoid output, not a softmax of
      two. K sigmoid outputs are K regressions, of which Keras's binary cross-entropy takes the mean.
    - *glmnet*, ridge (`alpha = 0`, `standardize = FALSE`): the log-loss is a mean, as in Keras. The squared
      error carries 1/2, so twice the objective is Keras's. But a single gaussian `y` is first divided by its
      standard deviation, and g with it; in terms of the `y` and `w` that were given, `g / std(y)` is what
      remains. Several responses (`mgaussian`) are not divided.
    - *keras_weight_decay*: a Keras optimizer's `weight_decay` shrinks weights beside the gradient. For SGD
      without momentum or clipping both steps add up to `w - lr * (g + wd * w)`, the step of a penalty
      `wd / 2 * sum(w ** 2)`, at any learning rate. With momentum, or for Adam, the penalty passes through
      the optimizer's averages and the decay does not: no number makes them equal.

    None penalises the intercept, but for PyTorch, whose `weight_decay` takes every parameter it is given.

    Args:
        value: The number in the source's words; finite and >= 0. For `"sklearn_logistic"` C > 0 or `inf`.
        source: One of `SYSTEMS`.
        target: One of `SYSTEMS`.
        data_loss: The Keras model's data loss, `"mse"` or `"crossentropy"`; needed for `"glmnet"`.
        num_samples: `n`, the training examples; needed for scikit-learn.
        num_outputs: `K`: the width of the output for `mse` and binary cross-entropy, 1 for a softmax.
        num_parameters: `m`; needed for `"mean"`.
        target_std: Standard deviation of `y` (1/n form); needed for `"glmnet"` with `mse` and one output.
        optimizer: Who trains, such as `"sgd"`; asked where weight decay is converted.
        momentum: The momentum of SGD, in [0, 1].

    Returns:
        The number in the target's words.

    Raises:
        TypeError: If a number is no number.
        ValueError: If a number is out of range, a name is unknown, a need is missing, or the two systems
            have no exact conversion; the text says which and why.

    References:
        Hoerl and Kennard 1970, Ridge Regression. Friedman, Hastie and Tibshirani 2010, Regularization Paths
        for Generalized Linear Models via Coordinate Descent (glmnet). Loshchilov and Hutter 2019, Decoupled
        Weight Decay Regularization: why the last row holds for plain SGD only.

    Example:
        >>> convert(1e-4, source="pytorch", target="keras")
        5e-05
        >>> convert(1.0, source="sklearn_logistic", target="keras", num_samples=1000)
        0.0005
    """
    _check_name(source, name="source", known=SYSTEMS)
    _check_name(target, name="target", known=SYSTEMS)
    _check_value(value, source)
    needs = _Needs(data_loss, num_samples, num_outputs, num_parameters, target_std, optimizer, momentum)
    if source == target:
        return float(value)
    needs.check_same_data_loss(source, target)
    lam = _lambda_from(float(value), system=source, divisor=needs.divisor(source))
    result = _lambda_to(lam, system=target, divisor=needs.divisor(target))
    if math.isinf(lam) or (math.isinf(result) and lam > 0):
        raise ValueError(f"`value` is beyond what {target!r} can express as a float, got value={value!r}.")
    return float(result)


@dataclass(frozen=True)
class _Needs:
    """What the formulas need besides the number itself; each is asked for by name when it is missing."""

    data_loss: str | None = None
    num_samples: int | None = None
    num_outputs: int = 1
    num_parameters: int | None = None
    target_std: float | None = None
    optimizer: str = "sgd"
    momentum: float = 0.0

    def __post_init__(self) -> None:
        for name in ("num_samples", "num_outputs", "num_parameters"):
            _check_count(getattr(self, name), name=name)
        if self.data_loss is not None:
            _check_name(self.data_loss, name="data_loss", known=DATA_LOSSES)
        _check_name(self.optimizer, name="optimizer", known=tuple(_PYTORCH_DECAY_IS_A_GRADIENT))
        if self.target_std is not None:
            _check_number(self.target_std, name="target_std")
            if self.target_std == 0:
                raise ValueError("`target_std` must be greater than 0, got target_std=0.")
        _check_number(self.momentum, name="momentum", most=1.0)

    def divisor(self, system: str) -> float:
        """Gives what a number in the system's words is divided by to become lambda (for C: 1 / C is)."""
        match system:
            case "pytorch":
                self._refuse_decoupled()
                return 2
            case "mean":
                return 2 * self._given("num_parameters", system)
            case "sklearn_ridge":
                return self._given("num_samples", system) * self.num_outputs
            case "sklearn_logistic":
                return 2 * self._given("num_samples", system) * self.num_outputs
            case "glmnet":
                return self._glmnet_divisor()
            case "keras_weight_decay":
                self._refuse_other_than_plain_sgd()
                return 2
        return 1

    def check_same_data_loss(self, *systems: str) -> None:
        """Refuses a pair of systems that do not share one data loss."""
        asked = [(system, _BOUND_TO[system]) for system in systems if system in _BOUND_TO]
        if self.data_loss is not None:
            asked.append(("`data_loss`", self.data_loss))
        for (first, one), (second, other) in itertools.pairwise(asked):
            if one != other:
                raise ValueError(
                    f"No exact conversion: {first} goes with {one!r}, {second} with {other!r}, and what was "
                    "tuned against one data loss says nothing about the other. Tune it anew."
                )

    def _given(self, name: str, system: str) -> Any:
        given = getattr(self, name)
        if given is None:
            raise ValueError(f"`{name}` is needed to convert {system!r}, got {name}=None.")
        return given

    def _glmnet_divisor(self) -> float:
        if self._given("data_loss", "glmnet") == "crossentropy":
            return 2 * self.num_outputs
        return self.num_outputs if self.num_outputs > 1 else self._given("target_std", "glmnet")

    def _refuse_decoupled(self) -> None:
        if not _PYTORCH_DECAY_IS_A_GRADIENT[self.optimizer]:
            raise ValueError(
                f"No exact conversion: PyTorch's {self.optimizer} shrinks weights beside the gradient, which "
                f"no penalty does, got optimizer={self.optimizer!r}. Use L2Policy(..., decoupled=True)."
            )

    def _refuse_other_than_plain_sgd(self) -> None:
        if self.optimizer == "sgd" and self.momentum == 0:
            return
        got = f"momentum={self.momentum}" if self.optimizer == "sgd" else f"optimizer={self.optimizer!r}"
        raise ValueError(
            "No exact conversion: weight_decay of a Keras optimizer shrinks weights beside the gradient, a "
            "penalty goes through the optimizer's averages; they agree for SGD without momentum only, got "
            f"{got}. Keep the decay as it is with L2Policy(..., decoupled=True)."
        )


def _lambda_from(value: float, *, system: str, divisor: float) -> float:
    # C is the inverse of a strength, all others are proportional to lambda.
    return 1 / value / divisor if system == "sklearn_logistic" else value / divisor


def _lambda_to(lam: float, *, system: str, divisor: float) -> float:
    if system == "sklearn_logistic":
        return 1 / lam / divisor if lam > 0 else math.inf
    return lam * divisor


def _check_value(value: Any, source: str) -> None:
    if source != "sklearn_logistic":
        _check_number(value, name="value")
    elif value != math.inf:
        _check_number(value, name="value")
        if value == 0:
            raise ValueError("`value` must be greater than 0 for 'sklearn_logistic' (C), got value=0.")


def _check_number(number: Any, *, name: str, most: float = math.inf) -> None:
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        raise TypeError(f"`{name}` must be a number, got {name}={number!r} of {type(number).__name__}.")
    if not (math.isfinite(number) and 0 <= float(number) <= most):
        limits = "a finite number >= 0" if most == math.inf else f"a number from 0 to {most:g}"
        raise ValueError(f"`{name}` must be {limits}, got {name}={number!r}.")


def _check_count(count: Any, *, name: str) -> None:
    if count is None:
        return
    if isinstance(count, bool) or not isinstance(count, numbers.Integral):
        raise TypeError(f"`{name}` must be a whole number, got {name}={count!r} of {type(count).__name__}.")
    if count < 1:
        raise ValueError(f"`{name}` must be at least 1, got {name}={count!r}.")


def _check_name(given: Any, *, name: str, known: tuple[str, ...]) -> None:
    one_of(name, given, known)
