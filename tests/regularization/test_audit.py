"""The audit tells what the model does, not what somebody meant: rows by NumPy, every problem provoked."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo.regularization.audit import _group, audit
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.strength import Strength
from tests import by_hand


def small(**dense: Any) -> keras.Model:
    inputs = keras.Input((4,))
    x = layers.Dense(3, name="one", **dense)(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    return by_hand.randomise(keras.Model(inputs, layers.Dense(2, name="two")(x), name="small"))


@pytest.fixture(scope="module")
def mobilenet() -> keras.Model:
    return keras.applications.MobileNetV2((32, 32, 3), weights=None, classes=10)


# ---- Groups ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("stage1_block1_conv1/kernel", "stage1"),
        ("block_12_depthwise/kernel", "block_12"),
        ("block2a_expand_conv/kernel", "block2a"),
        ("conv2d_3/kernel", "conv2d"),
        ("stem_conv_bn/gamma", "stem_conv_bn"),
        ("logits/bias", "logits"),
        ("backbone/stage1/conv/kernel", "backbone/stage1"),
        ("kernel", "kernel"),
    ],
)
def test_weights_are_grouped_by_the_names_of_their_layers(path: str, group: str) -> None:
    assert _group(path) == group


def test_a_group_has_the_sums_of_its_weights(mobilenet: keras.Model) -> None:
    model = L2Policy(1e-3, multipliers={"depthwise": 0.0}).apply(mobilenet)
    found, table = audit(model), audit(model).by_group()
    heads = [column.name for column in table.columns]
    rows = [dict(zip(heads, row.cells, strict=True)) for row in table.rows]
    mine = [r for r in found.rows if r.path.startswith("block_1_")]
    groups = {(row["role"].text, row["lambda"].text): row for row in rows if row["layers"].text == "block_1"}
    assert groups.keys() == {("kernel ≈", "0.001"), ("depthwise ≈", "-"), ("bias, norm", "-")}
    kernels = groups["kernel ≈", "0.001"]
    by_numpy = sum(
        1e-3 * np.sum(np.square(keras.ops.convert_to_numpy(v)))
        for v in model.trainable_variables
        if v.path.startswith("block_1_") and v.path.endswith("kernel") and "depthwise" not in v.path
    )
    assert kernels["penalty"].value == pytest.approx(by_numpy, rel=1e-5)
    assert kernels["share"].value == pytest.approx(by_numpy / found.penalty, rel=1e-5)
    assert sum(row["weights"].value for row in groups.values()) == len(mine)
    assert sum(row["parameters"].value for row in rows) == found.parameters
    assert len(rows) < len(found.rows) / 2


def test_the_sign_of_normalised_kernels_is_explained_wherever_it_stands() -> None:
    bare = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization()])
    assert "kernel ≈" in str(audit(bare))
    assert "≈ a normalisation undoes the size of these kernels; no L2 is on them" in str(audit(bare))


# ---- Rows and totals ---------------------------------------------------------------------------------------


@pytest.mark.backends
def test_every_row_equals_numpy() -> None:
    model = small()
    L2Policy(1e-3, l1=1e-2, multipliers={"norm": 0.5}, overrides={"two/kernel": 2}).apply(model)
    found = audit(model)
    lambdas = {"one/kernel": 1e-3, "norm/gamma": 0.5e-3, "norm/beta": 0.5e-3, "two/kernel": 2e-3}
    roles = {"kernel": "kernel", "bias": "bias", "gamma": "norm", "beta": "norm"}
    assert [row.path for row in found.rows] == [w.path for w in model.trainable_weights]
    total = sum(by_hand.penalty(model, [p], lam, l1=10 * lam) for p, lam in lambdas.items())
    for row, weight in zip(found.rows, model.trainable_weights, strict=True):
        lam = lambdas.get(row.path, 0.0)
        penalty = by_hand.penalty(model, [row.path], lam, l1=10 * lam)
        assert row.role == roles[weight.name]
        assert row.shape == tuple(weight.shape)
        assert row.parameters == np.prod(weight.shape)
        assert (row.strength, row.l1) == pytest.approx((lam, 10 * lam))
        assert row.penalty == pytest.approx(penalty, rel=1e-6)
        assert row.share == pytest.approx(penalty / total, rel=1e-6)
        assert not row.frozen
    assert found.penalty == pytest.approx(total, rel=1e-6)
    assert found.penalty == pytest.approx(by_hand.added_loss(model), rel=1e-6)
    assert found.parameters == 4 * 3 + 3 + 2 * 3 + 3 * 2 + 2
    assert sum(row.share for row in found.rows) == pytest.approx(1.0)


def test_a_model_without_fault_has_no_problems() -> None:
    assert audit(L2Policy(1e-3).apply(small())).problems == ()


def test_a_live_strength_is_read_at_the_moment() -> None:
    strength = Strength(1e-3)
    model = L2Policy(strength).apply(small())
    strength.assign(5e-3)
    assert audit(model).summary == "l2: 2 kernels at 0.005, 4 biases and norms free"


@pytest.mark.backends
def test_it_can_be_read_in_the_middle_of_an_epoch() -> None:
    model = L2Policy(1e-3).apply(small())
    model.compile("sgd", "mse")
    seen: list[float] = []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(audit(model).penalty)
    )
    model.fit(np.ones((4, 4)), np.ones((4, 2)), batch_size=2, verbose=0, callbacks=[look])
    assert seen[-1] == pytest.approx(by_hand.added_loss(model), rel=1e-6)
    assert seen[0] != seen[1]


# ---- Problems ----------------------------------------------------------------------------------------------


def test_a_model_without_any_penalty() -> None:
    assert audit(small()).problems == ("no weight carries a penalty",)


def forget(model: keras.Model, *names: str) -> keras.Model:
    """Takes the penalty off some layers as somebody might who does not know of policies."""
    for name in names:
        layer = model.get_layer(name)
        layer.kernel_regularizer = layer.kernel.regularizer = None
        layer.kernel.exempt_from_l2 = False
    return model


def test_kernels_without_a_penalty() -> None:
    one = audit(forget(L2Policy(1e-3).apply(small()), "one"))
    assert one.problems == ("1 kernel without a penalty: one/kernel",)
    assert one.summary == "l2: 1 kernel at 0, 1 kernel at 0.001, 4 biases and norms free"


@pytest.mark.parametrize(
    "policy",
    [{"overrides": {"one/kernel": 0}}, {"multipliers": {"kernel": 0}, "overrides": {"two/kernel": 1}}],
)
def test_a_factor_of_0_that_was_asked_for_is_no_problem(policy: dict[str, Any], tmp_path: Path) -> None:
    model = L2Policy(1e-3, **policy).apply(small())
    for found in (audit(model), audit(by_hand.reloaded(model, tmp_path))):
        assert found.problems == ()
        assert found.summary == "l2: 1 kernel at 0, 1 kernel at 0.001, 4 biases and norms free"
        assert [row.path for row in found.rows if row.exempt and row.role == "kernel"] == ["one/kernel"]
    L2Policy(1e-3).apply(model)
    assert not any(row.exempt for row in audit(model).rows if row.role == "kernel")
    L2Policy(1e-3, **policy).apply(model)
    L2Policy.remove(model)
    assert not any(row.exempt for row in audit(model).rows)


def test_the_silent_no_op_on_a_built_mobilenet(mobilenet: keras.Model, tmp_path: Path) -> None:
    # What people do, and what it does: nothing now; after save and load 36 of the 53 kernels are penalised.
    L2Policy.remove(mobilenet)
    for layer in mobilenet.layers:
        if hasattr(layer, "kernel_regularizer"):
            layer.kernel_regularizer = keras.regularizers.L2(5e-5)
    found = audit(mobilenet)
    assert found.penalty == 0.0
    assert found.problems[0] == "no weight carries a penalty"
    assert found.problems[1].startswith(
        "36 penalties set on the layer only: nothing now, but after save and load_model: Conv1/kernel, "
    )
    assert found.problems[1].endswith(" and 31 more")
    loaded = audit(by_hand.reloaded(mobilenet, tmp_path))
    assert loaded.summary == "l2: 36 kernels at 5e-05, 17 depthwise at 0, 105 biases and norms free"
    assert loaded.problems[0].startswith("17 kernels without a penalty: expanded_conv_depthwise/kernel, ")


def test_a_penalty_of_the_variable_only() -> None:
    model = small()
    model.get_layer("one").kernel.regularizer = keras.regularizers.L2(1e-3)
    assert audit(model).problems == (
        "1 kernel without a penalty: two/kernel",
        "1 penalty of the variable only: counts now, but not after save and load_model: one/kernel",
    )


def test_a_custom_layer_that_would_lose_it_is_found_though_it_holds_a_layer_of_keras() -> None:
    class Holder(layers.Layer):
        def __init__(self, **kwargs: Any):
            super().__init__(**kwargs)
            self.dense = layers.Dense(2, name="dense")

        def build(self, shape: tuple) -> None:
            self.dense.build(shape)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    inputs = keras.Input((4,))
    model = keras.Model(inputs, Holder(name="holder")(inputs))
    model.get_layer("holder").dense.kernel.regularizer = keras.regularizers.L2(1e-3)
    assert audit(model).problems == (
        "1 penalty of the variable only: counts now, but not after save and load_model: holder/dense/kernel",
    )


def test_another_number_in_the_configuration() -> None:
    model = L2Policy(1e-3).apply(small())
    model.get_layer("one").kernel_regularizer = keras.regularizers.L2(1e-2)
    model.get_layer("two").kernel_regularizer = keras.regularizers.L1L2(1e-4, 1e-3)
    assert audit(model).problems == (
        "2 penalties with another number after save and load_model: one/kernel, two/kernel",
    )


def test_penalised_biases_and_norms() -> None:
    one = audit(L2Policy(1e-3, multipliers={"norm": 1}).apply(small()))
    assert one.problems == ("2 biases or norms penalised: norm/gamma, norm/beta",)
    assert one.summary == "l2: 2 kernels at 0.001, 2 biases and norms free, 2 biases and norms penalised"
    single = audit(L2Policy(1e-3, overrides={"one/bias": 1}).apply(small()))
    assert single.problems == ("1 bias or norm penalised: one/bias",)
    assert single.summary == "l2: 2 kernels at 0.001, 3 biases and norms free, 1 bias penalised"


def test_frozen_weights_that_carry_a_penalty() -> None:
    model = L2Policy(1e-3).apply(small())
    model.get_layer("one").trainable = False
    found = audit(model)
    assert found.problems == ("1 frozen weight with a penalty that does not count now: one/kernel",)
    row = found.rows[0]
    assert (row.frozen, row.strength, row.penalty, row.share) == (True, 1e-3, 0.0, 0.0)
    assert found.summary == "l2: 2 kernels at 0.001, 4 biases and norms free; 2 of 6 weights frozen"
    assert found.penalty == pytest.approx(by_hand.penalty(model, ["two/kernel"], 1e-3), rel=1e-6)


def test_regularizers_of_another_kind() -> None:
    found = audit(small(kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.1)))
    assert found.problems == (
        "1 kernel without a penalty: two/kernel",
        "1 regularizer neither L1 nor L2: one/kernel",
    )
    row = found.rows[0]
    assert (row.strength, row.l1) == (None, None)
    assert row.penalty > 0
    assert "l2: 1 kernel with another regularizer, 1 kernel at 0, " in found.summary
    assert "other" in str(found)


def test_l1_shows_in_the_summary() -> None:
    found = audit(L2Policy(1e-3, l1=1e-5).apply(small()))
    assert found.summary == "l2: 2 kernels at 0.001 and l1 1e-05, 4 biases and norms free"


def test_a_weight_decay_that_reaches_everything() -> None:
    model = small()
    model.compile(keras.optimizers.AdamW(weight_decay=0.01), "mse")
    found = audit(model)
    assert found.decay == "AdamW decays 6 of 6 weights, weight_decay=0.01"
    assert found.summary.endswith("4 biases and norms free; " + found.decay)
    assert found.problems == (
        "AdamW's weight decay reaches 4 biases or norms: one/bias, norm/gamma, norm/beta, two/bias",
    )


def test_a_weight_decay_that_spares_by_name_and_one_of_the_policy() -> None:
    model = small()
    optimizer = keras.optimizers.SGD(weight_decay=0.01)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
    model.compile(optimizer, "mse")
    assert audit(model).problems == ("SGD's weight decay reaches 1 bias or norm: norm/beta",)
    model.get_layer("one").trainable = False
    policy = L2Policy(0.01, decoupled=True)
    model.compile(policy.optimizer("adamw", model), "mse")
    found = audit(model)
    assert found.problems == ()
    assert found.decay == "SelectiveAdamW decays 1 of 6 weights, weight_decay=0.01"
    assert not model.optimizer.built


def test_the_optimizer_inside_a_loss_scaling_one_is_read() -> None:
    model = small()
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW(weight_decay=0.01)), "mse")
    assert audit(model).decay == "AdamW decays 6 of 6 weights, weight_decay=0.01"


def test_only_five_paths_are_named() -> None:
    dense = [layers.Dense(2, name=f"d{i}", use_bias=False) for i in range(7)]
    model = keras.Sequential([keras.Input((2,)), *dense], name="m")
    found = audit(forget(L2Policy(1e-3).apply(model), *(f"d{i}" for i in range(1, 7))))
    named = "m/d1/kernel, m/d2/kernel, m/d3/kernel, m/d4/kernel, m/d5/kernel"
    assert found.problems == (f"6 kernels without a penalty: {named} and 1 more",)


# ---- The line and the table --------------------------------------------------------------------------------


def test_the_line_of_a_mobilenet(mobilenet: keras.Model) -> None:
    policy = L2Policy(1e-4, convention="pytorch", multipliers={"depthwise": 0})
    found = audit(policy.apply(mobilenet, replace=True))
    # 52 norms of two vectors, and the head's bias.
    assert found.summary == "l2: 36 kernels at 5e-05, 17 depthwise at 0, 105 biases and norms free"
    assert found.problems == ()


def test_the_line_counts_one_and_many() -> None:
    inputs = keras.Input((4,), dtype="int32")
    x = layers.LSTM(3, name="lstm")(layers.Embedding(5, 2, name="words")(inputs))
    model = L2Policy(1e-3).apply(keras.Model(inputs, x))
    assert audit(model).summary == (
        "l2: 1 embedding at 0.001, 1 kernel at 0.001, 1 recurrent at 0.001, 1 bias free"
    )
    assert audit(keras.Sequential([keras.Input((3,)), layers.ReLU()])).summary == "l2: no weights"
    scale = keras.Sequential([keras.Input((3,)), layers.RMSNormalization()])
    assert audit(scale).summary == "l2: 1 norm free"


def test_the_table_shows_every_weight_the_totals_the_line_and_the_problems() -> None:
    model = L2Policy(1e-3, multipliers={"bias": 1}).apply(small())
    model.get_layer("two").trainable = False
    found = audit(model)
    text = str(found)
    lines = text.splitlines()
    assert "L2 audit of small" in lines[0]
    for row in found.rows:
        line = next(line for line in lines if line.startswith(f"{row.path} "))
        assert f" {row.role} " in line
        assert " " + "x".join(map(str, row.shape)) + " " in line
    kernel = next(line for line in lines if line.startswith("one/kernel "))
    assert " 0.001 " in kernel
    assert f" {found.rows[0].penalty:.4g} " in kernel
    assert f" {found.rows[0].share:.1%}" in kernel
    assert " frozen " in next(line for line in lines if line.startswith("two/kernel "))
    total = next(line for line in lines if line.startswith("total "))
    assert f" {found.parameters} " in total
    assert f" {found.penalty:.4g} " in total
    assert found.summary in lines
    assert all(f"! {problem}" in text.replace("\n", " ") for problem in found.problems)


def test_names_with_brackets_are_shown_as_they_are() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, name="head[red]")(inputs), name="net[bold]")
    assert "head[red]/kernel" in str(audit(model))
    assert "net[bold]" in str(audit(model))


def test_a_notebook_gets_html() -> None:
    inputs = keras.Input((4,))
    model = L2Policy(1e-3).apply(keras.Model(inputs, layers.Dense(2, name="a<b")(inputs)))
    page = audit(model)._repr_html_()
    assert page.startswith("<pre>")
    assert page.endswith("</pre>")
    assert "a&lt;b/kernel" in page
    assert "1 kernel at 0.001" in page


def test_kernels_before_a_normalisation_are_marked_and_what_l2_means_there_is_said() -> None:
    inputs = keras.Input((4,))
    x = layers.BatchNormalization(name="norm")(layers.Dense(3, name="before")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="after")(x))
    assert audit(model).note.endswith("no L2 is on them")
    found = audit(L2Policy(1e-3).apply(model))
    assert {row.path for row in found.rows if row.normalised} == {"before/kernel"}
    assert found.note.startswith("a normalisation undoes the size of 1 kernel: L2 sets")
    assert f"≈ {found.note}" in str(found).replace("\n", " ")
    lines = str(found).splitlines()
    assert "kernel ≈" in next(line for line in lines if "before/kernel" in line)
    assert "≈" not in next(line for line in lines if "after/kernel" in line)


def test_it_becomes_json() -> None:
    model = small(kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.1))
    found = audit(model)
    data = json.loads(json.dumps(found.to_dict()))
    names = ["model", "summary", "parameters", "penalty", "problems", "note", "decay", "rows"]
    assert list(data) == names
    assert data["model"] == "small"
    assert data["problems"] == list(found.problems)
    assert data["rows"][0] == {
        "path": "one/kernel",
        "role": "kernel",
        "shape": [4, 3],
        "parameters": 12,
        "l1": None,
        "strength": None,
        "penalty": found.rows[0].penalty,
        "share": 1.0,
        "frozen": False,
        "normalised": True,
        "exempt": False,
    }


# ---- What cannot be audited, and how long it takes ---------------------------------------------------------


def test_an_unbuilt_model_and_no_model() -> None:
    with pytest.raises(ValueError, match=r"`model` .* is not built"):
        audit(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(TypeError, match="`model` must be a Keras model or layer, got NoneType"):
        audit(None)  # type: ignore[arg-type]


def test_a_layer_can_be_audited() -> None:
    layer = layers.Dense(2, name="d")
    layer.build((None, 3))
    assert audit(L2Policy(1e-3).apply(layer)).summary == "l2: 1 kernel at 0.001, 1 bias free"


@pytest.mark.slow
def test_a_resnet50_takes_well_under_a_second_to_apply_and_two_to_audit() -> None:
    model = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), classes=10)
    start = time.process_time()
    L2Policy(1e-4).apply(model)
    applied = time.process_time() - start
    start = time.process_time()
    audit(model)
    audited = time.process_time() - start
    assert applied < 0.5
    assert audited < 2.0
