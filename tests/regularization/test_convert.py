"""Each conversion is proved by what the systems do with the numbers: by training, or by their own algebra."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2zoo.regularization.convert import CONVENTIONS, SYSTEMS, convert, to_lambda
from tests.processes import output_of

NEEDS: dict[str, Any] = {"num_samples": 150, "num_parameters": 1000, "num_outputs": 1, "target_std": 2.5}
STEPS = 150  # of gradient descent, enough for the problems below to converge
LOSS_OF = {"sklearn_ridge": "mse", "sklearn_logistic": "crossentropy"}


def data_loss_of(*systems: str) -> str | None:
    """Names the one data loss under which these systems compare, or None if there is none."""
    losses = {LOSS_OF[system] for system in systems if system in LOSS_OF} or {"mse"}
    return losses.pop() if len(losses) == 1 else None


EXACT_PAIRS = [pair for pair in itertools.permutations(SYSTEMS, 2) if data_loss_of(*pair)]


# ---- By hand -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "needs", "expected"),
    [
        ("pytorch", "keras", {}, 5e-5),  # fact 7: He et al.'s and PyTorch's 1e-4 is Keras's 5e-5
        ("keras", "pytorch", {}, 2e-4),
        ("mean", "keras", {"num_parameters": 50}, 1e-6),
        ("sklearn_ridge", "keras", {"num_samples": 10}, 1e-5),
        ("sklearn_ridge", "keras", {"num_samples": 10, "num_outputs": 5}, 2e-6),
        ("sklearn_logistic", "keras", {"num_samples": 100}, 50.0),
        ("glmnet", "keras", {"data_loss": "crossentropy"}, 5e-5),
        ("glmnet", "keras", {"data_loss": "crossentropy", "num_outputs": 5}, 1e-5),
        ("glmnet", "keras", {"data_loss": "mse", "target_std": 1.0}, 1e-4),
        ("glmnet", "keras", {"data_loss": "mse", "target_std": 4.0}, 2.5e-5),
        ("glmnet", "keras", {"data_loss": "mse", "num_outputs": 5}, 2e-5),
        ("keras_weight_decay", "keras", {}, 5e-5),
        ("pytorch", "keras_weight_decay", {}, 1e-4),
    ],
)
def test_a_ten_thousandth_by_hand(source: str, target: str, needs: dict[str, Any], expected: float) -> None:
    assert convert(1e-4, source=source, target=target, **needs) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("convention", "expected"), [("keras", 0.03), ("pytorch", 0.015), ("mean", 0.0005)])
def test_a_policy_reads_its_strength_in_three_conventions(convention: str, expected: float) -> None:
    assert to_lambda(0.03, convention=convention, num_parameters=30) == pytest.approx(expected, rel=1e-12)


def test_numpy_numbers_are_numbers() -> None:
    strength: Any = np.float32(0.5)
    lam = to_lambda(strength, convention="mean", num_parameters=np.int64(4))
    assert lam == 0.0625
    assert type(lam) is float


def test_no_penalty_is_an_infinite_c() -> None:
    assert convert(0.0, source="keras", target="sklearn_logistic", num_samples=10) == math.inf
    assert convert(math.inf, source="sklearn_logistic", target="keras", num_samples=10) == 0.0


# ---- Laws --------------------------------------------------------------------------------------------------

values = st.floats(1e-9, 1e6)
needs = st.fixed_dictionaries(
    {
        "num_samples": st.integers(1, 10**7),
        "num_parameters": st.integers(1, 10**9),
        "num_outputs": st.integers(1, 1000),
        "target_std": st.floats(1e-3, 1e3),
    }
)


@settings(max_examples=1000)
@given(pair=st.sampled_from(EXACT_PAIRS), value=values, needs=needs)
def test_there_and_back_is_the_same_number(
    pair: tuple[str, str], value: float, needs: dict[str, Any]
) -> None:
    one, other = pair
    needs["data_loss"] = data_loss_of(one, other)
    there = convert(value, source=one, target=other, **needs)
    assert convert(there, source=other, target=one, **needs) == pytest.approx(value, rel=1e-12)


@given(value=values, needs=needs, data=st.data())
def test_a_detour_changes_nothing(value: float, needs: dict[str, Any], data: st.DataObject) -> None:
    triples = [triple for triple in itertools.product(SYSTEMS, repeat=3) if data_loss_of(*triple)]
    first, via, last = data.draw(st.sampled_from(triples))
    needs["data_loss"] = data_loss_of(first, via, last)
    direct = convert(value, source=first, target=last, **needs)
    between = convert(value, source=first, target=via, **needs)
    assert convert(between, source=via, target=last, **needs) == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_number_in_its_own_words_stays_bit_for_bit(system: str) -> None:
    assert convert(0.1, source=system, target=system, optimizer="adam", momentum=0.9) == 0.1


@given(value=values, m=st.integers(1, 10**9))
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_policy_and_convert_agree(convention: str, value: float, m: int) -> None:
    lam = to_lambda(value, convention=convention, num_parameters=m)
    assert lam == convert(value, source=convention, target="keras", num_parameters=m)


# ---- Against scikit-learn, by training ---------------------------------------------------------------------


def regression_data(num_outputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(NEEDS["num_samples"], 4))
    y = x @ rng.normal(size=(4, num_outputs)) + 3.0 + rng.normal(size=(len(x), num_outputs))
    return x, y


def class_data(num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    y = np.arange(NEEDS["num_samples"]) % num_classes
    return rng.normal(size=(len(y), 4)) + 1.2 * rng.normal(size=(num_classes, 4))[y], y


def train_to_convergence(
    x: np.ndarray, y: np.ndarray, *, lam: float, loss: str, units: int, learning_rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Full-batch gradient descent of one Dense layer, its kernel under Keras's own L2."""
    import keras

    activation = {"mse": None, "binary_crossentropy": "sigmoid"}.get(loss, "softmax")
    dense = keras.layers.Dense(units, activation=activation, kernel_regularizer=keras.regularizers.L2(lam))
    model = keras.Sequential([keras.Input((x.shape[1],)), dense])
    model.compile(keras.optimizers.SGD(learning_rate, momentum=0.8), loss=loss, jit_compile=False)
    # One epoch over copies of the data, a batch being all of it, is as many full-batch steps.
    model.fit(np.tile(x, (STEPS, 1)), np.tile(y, (STEPS, 1)), batch_size=len(x), shuffle=False, verbose=0)
    kernel, bias = dense.get_weights()
    return kernel, bias


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    expected = np.asarray(expected).reshape(got.shape)
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.parametrize("num_outputs", [1, 3])
def test_ridge_is_keras_mse_with_the_converted_penalty(num_outputs: int) -> None:
    from sklearn.linear_model import Ridge

    x, y = regression_data(num_outputs)
    ridge = Ridge(alpha=40.0).fit(x, y)
    lam = convert(40.0, source="sklearn_ridge", target="keras", num_samples=len(x), num_outputs=num_outputs)
    kernel, bias = train_to_convergence(
        x, y, lam=lam, loss="mse", units=num_outputs, learning_rate=0.1 * num_outputs
    )
    assert relative_error(kernel, ridge.coef_.T) < 1e-3
    assert relative_error(bias, ridge.intercept_) < 1e-3


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_binary_logistic_regression_is_one_sigmoid_with_the_converted_penalty() -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = class_data(2)
    logistic = LogisticRegression(C=0.05, tol=1e-10).fit(x, y)
    lam = convert(0.05, source="sklearn_logistic", target="keras", num_samples=len(x))
    kernel, bias = train_to_convergence(
        x, y[:, None], lam=lam, loss="binary_crossentropy", units=1, learning_rate=0.5
    )
    assert relative_error(kernel, logistic.coef_.T) < 1e-3
    assert relative_error(bias, logistic.intercept_) < 1e-3


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_multinomial_logistic_regression_is_a_softmax_with_the_converted_penalty() -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = class_data(3)
    logistic = LogisticRegression(C=0.05, tol=1e-10, max_iter=1000).fit(x, y)
    lam = convert(0.05, source="sklearn_logistic", target="keras", num_samples=len(x))
    kernel, bias = train_to_convergence(
        x, y[:, None], lam=lam, loss="sparse_categorical_crossentropy", units=3, learning_rate=0.5
    )
    assert relative_error(kernel, logistic.coef_.T) < 1e-3
    # A softmax does not feel a shift of all its intercepts.
    assert relative_error(bias - bias.mean(), logistic.intercept_ - logistic.intercept_.mean()) < 1e-3


def test_several_sigmoids_are_as_many_logistic_regressions() -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = class_data(3)
    labels = np.eye(3)[y]
    columns = [LogisticRegression(C=0.05, tol=1e-10).fit(x, column).coef_[0] for column in labels.T]
    lam = convert(0.05, source="sklearn_logistic", target="keras", num_samples=len(x), num_outputs=3)
    kernel, _ = train_to_convergence(
        x, labels, lam=lam, loss="binary_crossentropy", units=3, learning_rate=1.5
    )
    assert relative_error(kernel, np.stack(columns, axis=1)) < 1e-3


def test_scikit_learn_takes_an_infinite_c_as_no_penalty() -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = class_data(2)
    c = convert(0.0, source="keras", target="sklearn_logistic", num_samples=len(x))
    free = LogisticRegression(C=c, tol=1e-8).fit(x, y)
    nearly_free = LogisticRegression(C=1e8, tol=1e-8).fit(x, y)
    assert relative_error(free.coef_, nearly_free.coef_) < 1e-3


# ---- Against glmnet's algebra ------------------------------------------------------------------------------


def glmnet_gaussian(x: np.ndarray, y: np.ndarray, g: float) -> np.ndarray:
    """What `glmnet(x, y, alpha=0, lambda=g, standardize=FALSE)` does: divide y and g by std(y), solve."""
    x = x - x.mean(axis=0)
    std = y.std()
    scaled = (y - y.mean()) / std
    gram = x.T @ x / len(x) + g / std * np.eye(x.shape[1])
    return std * np.linalg.solve(gram, x.T @ scaled / len(x))


def test_glmnet_gaussian_is_ridge_at_the_converted_alpha() -> None:
    from sklearn.linear_model import Ridge

    x, y = regression_data()
    y = 7.0 * y[:, 0]
    alpha = convert(
        0.3,
        source="glmnet",
        target="sklearn_ridge",
        data_loss="mse",
        num_samples=len(x),
        target_std=float(y.std()),
    )
    assert relative_error(Ridge(alpha=alpha).fit(x, y).coef_, glmnet_gaussian(x, y, 0.3)) < 1e-10


def test_glmnet_mgaussian_is_ridge_at_the_converted_alpha() -> None:
    from sklearn.linear_model import Ridge

    x, y = regression_data(3)
    centred = x - x.mean(axis=0)
    # 1/(2n) ||Y - XB||^2 + g/2 ||B||^2 has the gradient X'(XB - Y)/n + g B.
    gram = centred.T @ centred / len(x) + 0.3 * np.eye(4)
    expected = np.linalg.solve(gram, centred.T @ y / len(x))
    alpha = convert(
        0.3,
        source="glmnet",
        target="sklearn_ridge",
        data_loss="mse",
        num_samples=len(x),
        num_outputs=3,
    )
    assert relative_error(Ridge(alpha=alpha).fit(x, y).coef_.T, expected) < 1e-10


def test_glmnet_binomial_is_logistic_regression_at_the_converted_c() -> None:
    from scipy.optimize import minimize
    from sklearn.linear_model import LogisticRegression

    x, y = class_data(2)

    def objective(b: np.ndarray) -> float:
        logits = x @ b[1:] + b[0]
        return float(np.mean(np.logaddexp(0.0, logits) - y * logits) + 0.2 / 2 * np.sum(b[1:] ** 2))

    expected = minimize(objective, np.zeros(5), tol=1e-12).x
    c = convert(0.2, source="glmnet", target="sklearn_logistic", data_loss="crossentropy", num_samples=len(x))
    logistic = LogisticRegression(C=c, tol=1e-10).fit(x, y)
    assert relative_error(logistic.coef_[0], expected[1:]) < 1e-4
    assert logistic.intercept_[0] == pytest.approx(expected[0], rel=1e-4)


# ---- Against weight decay, step by step --------------------------------------------------------------------

START = np.array([[0.5], [-1.0], [2.0], [0.1]], "float32")


def keras_trajectory(optimizer: Any, *, lam: float, steps: int = 12) -> np.ndarray:
    """Gives the weights after each full-batch step of a Dense without bias: (steps, 4)."""
    import keras

    x, y = regression_data()
    dense = keras.layers.Dense(
        1, use_bias=False, kernel_regularizer=keras.regularizers.L2(lam) if lam else None
    )
    model = keras.Sequential([keras.Input((4,)), dense])
    dense.set_weights([START])
    model.compile(optimizer, loss="mse", jit_compile=False)
    weights = []
    for _ in range(steps):
        model.train_on_batch(x.astype("float32"), y.astype("float32"))
        weights.append(dense.get_weights()[0][:, 0])
    return np.stack(weights)


def numpy_trajectory(step: Callable[[np.ndarray, np.ndarray], np.ndarray], steps: int = 12) -> np.ndarray:
    """Repeats `step(w, gradient of the mean squared error)`: (steps, 4)."""
    x, y = regression_data()
    w, weights = START.astype("float64"), []
    for _ in range(steps):
        w = step(w, 2.0 / len(x) * x.T @ (x @ w - y))
        weights.append(w[:, 0])
    return np.stack(weights)


@pytest.mark.backends
def test_sgd_with_the_pytorch_convention_is_weight_decay_by_hand() -> None:
    import keras

    by_hand = numpy_trajectory(lambda w, g: w - 0.1 * (g + 0.3 * w))
    lam = convert(0.3, source="pytorch", target="keras")
    np.testing.assert_allclose(keras_trajectory(keras.optimizers.SGD(0.1), lam=lam), by_hand, rtol=2e-5)


def test_sgd_with_momentum_and_the_pytorch_convention_is_weight_decay_by_hand() -> None:
    import keras

    buffer = np.zeros_like(START)

    def step(w: np.ndarray, g: np.ndarray) -> np.ndarray:  # torch.optim.SGD: b = momentum * b + (g + wd * w)
        nonlocal buffer
        buffer = 0.9 * buffer + g + 0.3 * w
        return w - 0.02 * buffer

    lam = convert(0.3, source="pytorch", target="keras", momentum=0.9)
    got = keras_trajectory(keras.optimizers.SGD(0.02, momentum=0.9), lam=lam)
    np.testing.assert_allclose(got, numpy_trajectory(step), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_the_pytorch_convention_is_torch_weight_decay(name: str) -> None:
    torch = pytest.importorskip("torch")
    import keras

    x, y = (torch.tensor(part.astype("float32")) for part in regression_data())
    w = torch.nn.Parameter(torch.tensor(START.copy()))
    ours: Any
    if name == "sgd":
        theirs = torch.optim.SGD([w], lr=0.02, momentum=0.9, weight_decay=0.3)
        ours = keras.optimizers.SGD(0.02, momentum=0.9)
    else:
        theirs = torch.optim.Adam([w], lr=0.02, eps=1e-7, weight_decay=0.3)
        ours = keras.optimizers.Adam(0.02, epsilon=1e-7)
    expected = []
    for _ in range(12):
        theirs.zero_grad()
        torch.nn.functional.mse_loss(x @ w, y).backward()
        theirs.step()
        expected.append(w.detach().numpy()[:, 0].copy())
    lam = convert(0.3, source="pytorch", target="keras", optimizer=name)
    np.testing.assert_allclose(keras_trajectory(ours, lam=lam), np.stack(expected), rtol=2e-4, atol=1e-6)


@pytest.mark.backends
def test_keras_weight_decay_without_momentum_is_the_converted_penalty() -> None:
    import keras

    wd = convert(0.15, source="keras", target="keras_weight_decay")
    decayed = keras_trajectory(keras.optimizers.SGD(0.1, weight_decay=wd), lam=0.0)
    np.testing.assert_allclose(decayed, keras_trajectory(keras.optimizers.SGD(0.1), lam=0.15), rtol=2e-5)


def test_keras_weight_decay_with_momentum_is_no_penalty_and_refused() -> None:
    import keras

    decayed = keras_trajectory(keras.optimizers.SGD(0.05, momentum=0.9, weight_decay=0.3), lam=0.0)
    penalised = keras_trajectory(keras.optimizers.SGD(0.05, momentum=0.9), lam=0.15)
    assert np.abs(decayed - penalised).max() > 0.05
    with pytest.raises(ValueError, match=r"agree for SGD without momentum only, got momentum=0\.9"):
        convert(0.3, source="keras_weight_decay", target="keras", momentum=0.9)


# ---- Refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "needs", "text"),
    [
        ("keras", "keras_weight_decay", {"optimizer": "adam"}, "weight_decay of a Keras optimizer .*'adam'"),
        ("keras_weight_decay", "pytorch", {"momentum": 0.5}, "got momentum=0.5.*decoupled=True"),
        ("pytorch", "keras", {"optimizer": "adamw"}, "PyTorch's adamw shrinks weights beside the gradient"),
        (
            "sklearn_ridge",
            "keras",
            {},
            "`num_samples` is needed to convert 'sklearn_ridge', got num_samples=None",
        ),
        ("keras", "sklearn_logistic", {}, "`num_samples` is needed to convert 'sklearn_logistic'"),
        ("mean", "keras", {}, "`num_parameters` is needed to convert 'mean'"),
        ("glmnet", "keras", {}, "`data_loss` is needed to convert 'glmnet'"),
        ("glmnet", "keras", {"data_loss": "mse"}, "`target_std` is needed to convert 'glmnet'"),
        (
            "sklearn_logistic",
            "sklearn_ridge",
            {"num_samples": 9},
            "sklearn_logistic goes with 'crossentropy', sklearn_ridge with 'mse'.*Tune it anew",
        ),
        (
            "sklearn_logistic",
            "keras",
            {"num_samples": 9, "data_loss": "mse"},
            "sklearn_logistic goes with 'crossentropy', `data_loss` with 'mse'",
        ),
    ],
)
def test_an_inexact_conversion_is_refused_with_its_reason(
    source: str, target: str, needs: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        convert(1e-4, source=source, target=target, **needs)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, -math.inf])
def test_a_strength_is_finite_and_not_negative(value: float) -> None:
    with pytest.raises(ValueError, match=r"`value` must be a finite number >= 0, got value="):
        convert(value, source="pytorch", target="keras")
    with pytest.raises(ValueError, match=r"`strength` must be a finite number >= 0, got strength="):
        to_lambda(value, convention="keras", num_parameters=1)


@pytest.mark.parametrize("value", [True, "1e-4", None, 1j, [1e-4]])
def test_a_strength_is_a_number(value: Any) -> None:
    with pytest.raises(TypeError, match=r"`value` must be a number, got value=.* of \w+\."):
        convert(value, source="pytorch", target="keras")
    with pytest.raises(TypeError, match=r"`strength` must be a number"):
        to_lambda(value, convention="keras", num_parameters=1)


def test_c_is_greater_than_zero() -> None:
    with pytest.raises(ValueError, match="`value` must be greater than 0 for 'sklearn_logistic'"):
        convert(0, source="sklearn_logistic", target="keras", num_samples=3)


def test_a_number_too_large_for_the_target_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond what 'pytorch' can express"):
        convert(1.7e308, source="keras", target="pytorch")


@pytest.mark.parametrize(
    ("needs", "error", "text"),
    [
        ({"num_samples": 0}, ValueError, "`num_samples` must be at least 1, got num_samples=0"),
        ({"num_parameters": 2.5}, TypeError, "`num_parameters` must be a whole number"),
        ({"num_outputs": True}, TypeError, "`num_outputs` must be a whole number"),
        ({"target_std": 0.0}, ValueError, "`target_std` must be greater than 0"),
        ({"momentum": 1.5}, ValueError, "`momentum` must be a number from 0 to 1, got momentum=1.5"),
        ({"optimizer": "sgdd"}, ValueError, "`optimizer` must be one of .* Did you mean 'sgd'"),
        ({"data_loss": "mae"}, ValueError, "`data_loss` must be one of .'mse', 'crossentropy'."),
    ],
)
def test_a_need_out_of_range_is_refused(needs: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        convert(1e-4, source="pytorch", target="keras", **needs)


def test_an_unknown_system_lists_the_close_ones() -> None:
    with pytest.raises(ValueError, match=r"got source='torch'. Did you mean 'pytorch'\?"):
        convert(1e-4, source="torch", target="keras")
    with pytest.raises(ValueError, match=r"`target` must be one of .* Did you mean 'sklearn_ridge'"):
        convert(1e-4, source="keras", target="ridge")
    with pytest.raises(ValueError, match=r"`convention` must be one of .'keras', 'pytorch', 'mean'., got"):
        to_lambda(1e-4, convention="glmnet", num_parameters=1)


def test_converting_loads_no_framework() -> None:
    code = (
        "import sys, l2zoo.regularization.convert; print({'keras', 'numpy', 'tensorflow'} & set(sys.modules))"
    )
    assert output_of([sys.executable, "-c", code]) == "set()\n"
