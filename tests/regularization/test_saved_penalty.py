"""A penalty that Keras's configs cannot hold travels in the file; one that is lost on the way is found."""

from __future__ import annotations

import json
import pickle
import random
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from l2zoo.regularization.audit import audit
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.saved_penalty import FILE
from l2zoo.regularization.strength import Strength
from tests import by_hand
from tests.processes import output_of

KERNELS = ["first/kernel", "second/kernel"]


@keras.saving.register_keras_serializable("l2zoo_test_saved_penalty")
class Backbone(keras.Model):
    """A functional model whose config is its constructor's arguments, as all of keras-hub's are."""

    def __init__(self, units: int = 3, **kwargs: Any):
        inputs = keras.Input((4,))
        hidden = layers.Dense(units, name="first")(inputs)
        super().__init__(inputs, layers.Dense(2, name="second")(hidden), **kwargs)
        self.units = units

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units, "name": self.name}


@keras.saving.register_keras_serializable("l2zoo_test_saved_penalty")
class WithAssets(Backbone):
    """A model that writes an asset of its own."""

    def save_assets(self, folder: str) -> None:
        Path(folder, "vocabulary.txt").write_text("a")

    def load_assets(self, folder: str) -> None:
        assert Path(folder, "vocabulary.txt").read_text() == "a"


@keras.saving.register_keras_serializable("l2zoo_test_saved_penalty")
class Holder(layers.Layer):
    """Makes a standard layer from its own arguments, none of them a regularizer; draws random numbers."""

    def __init__(self, units: int = 3, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.noise = np.random.rand() + random.random()
        self.dense = layers.Dense(units, name="dense")
        self.dropout = layers.Dropout(0.5)

    def build(self, shape: tuple) -> None:
        self.dense.build(shape)

    def call(self, x: Any) -> Any:
        return self.dropout(self.dense(x))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def classifier() -> keras.Model:
    """A backbone in a plain model, under a head."""
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(2, name="head")(Backbone(name="backbone")(inputs)))


def members(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


@pytest.mark.backends
def test_a_model_made_of_its_constructor_s_arguments_keeps_its_penalty(tmp_path: Path) -> None:
    policy = L2Policy(1e-3, l1=1e-4, overrides={"second/*": 0.5})
    model = policy.apply(by_hand.randomise(Backbone()))
    expected = by_hand.penalty(model, ["first/kernel"], 1e-3, 1e-4)
    expected += by_hand.penalty(model, ["second/kernel", "second/bias"], 0.5e-3, 0.5e-4)
    assert by_hand.added_loss(model) == pytest.approx(expected, rel=1e-6)
    again = by_hand.reloaded(model, tmp_path)
    assert by_hand.added_loss(again) == pytest.approx(expected, rel=1e-6)
    assert audit(again).to_dict()["rows"] == audit(model).to_dict()["rows"]


def test_it_is_kept_in_every_form_in_which_keras_keeps_a_model(tmp_path: Path) -> None:
    model = L2Policy(1e-3).apply(by_hand.randomise(classifier()))
    expected = by_hand.added_loss(model)
    keras.saving.save_model(model, tmp_path / "folder", zipped=False)
    model.save(tmp_path / "zip.keras")
    loaded = [keras.saving.load_model(tmp_path / name) for name in ("folder", "zip.keras")]
    for again in (*loaded, pickle.loads(pickle.dumps(model)), by_hand.reloaded(loaded[1], tmp_path)):
        assert by_hand.added_loss(again) == pytest.approx(expected, rel=1e-6)


def test_each_model_in_a_file_keeps_what_no_model_inside_it_keeps(tmp_path: Path) -> None:
    model = L2Policy(1e-3).apply(classifier())
    model.save(tmp_path / "model.keras")
    assets = [name for name in members(tmp_path / "model.keras") if name.endswith(FILE)]
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        contents = [json.loads(archive.read(name)) for name in assets]
    paths = sorted([entry["path"] for entry in content["weights"]] for content in contents)
    assert paths == [
        ["first/kernel", "first/bias", "second/kernel", "second/bias"],
        ["head/kernel", "head/bias"],
    ]
    backbone = by_hand.reloaded(model.get_layer("backbone"), tmp_path)
    assert audit(backbone).summary == "l2: 2 kernels at 0.001, 2 biases and norms free"


@pytest.mark.backends
def test_a_live_strength_is_kept_as_the_number_that_it_has(tmp_path: Path) -> None:
    strength = Strength(1e-4)
    model = L2Policy(strength).apply(by_hand.randomise(Backbone()))
    strength.assign(1e-2)
    expected = by_hand.penalty(model, KERNELS, 1e-2)
    assert by_hand.added_loss(by_hand.reloaded(model, tmp_path)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.backends
def test_a_reloaded_model_trains_with_its_penalty(tmp_path: Path) -> None:
    model = L2Policy(1e-2).apply(by_hand.randomise(Backbone()))
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    again = by_hand.reloaded(model, tmp_path)
    kernel, x = by_hand.arrays(again)["first/kernel"], np.zeros((8, 4))
    again.fit(x, keras.ops.convert_to_numpy(again(x)), verbose=0)  # no data loss, so no gradient of it
    shrunk = kernel * (1 - 2 * 0.1 * 1e-2)
    np.testing.assert_allclose(by_hand.arrays(again)["first/kernel"], shrunk, rtol=1e-5)


def test_a_file_of_a_model_without_a_policy_is_as_keras_writes_it(tmp_path: Path) -> None:
    removed = L2Policy.remove(L2Policy(1e-3).apply(Backbone()))
    for name, model in (("plain", Backbone()), ("removed", removed)):
        path = tmp_path / f"{name}.keras"
        model.save(path)
        assert sorted(members(path)) == ["config.json", "metadata.json", "model.weights.h5"]
    late = keras.Sequential([layers.Dense(2)])
    with pytest.warns(UserWarning, match="not yet been built"):
        late.save(tmp_path / "late.keras")
    assert not by_hand.reloaded(Backbone(), tmp_path).losses


@pytest.mark.slow
def test_where_l2zoo_is_not_keras_loads_what_the_configs_hold_and_the_audit_finds_what_is_lost(
    tmp_path: Path,
) -> None:
    inputs = keras.Input((4,))
    plain = keras.Model(inputs, layers.Dense(2)(inputs))
    L2Policy(1e-3).apply(by_hand.randomise(plain)).save(tmp_path / "plain.keras")
    holder = keras.Model(inputs, layers.Dense(2, name="head")(Holder(name="holder")(inputs)))
    L2Policy(1e-3).apply(by_hand.randomise(holder)).save(tmp_path / "holder.keras")
    (tmp_path / "elsewhere.py").write_text(
        f"""
import sys, keras
assert "l2zoo" not in sys.modules
class Holder(keras.layers.Layer):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(units, name="dense")
    def build(self, shape):
        self.dense.build(shape)
    def call(self, x):
        return self.dense(x)
plain = keras.saving.load_model({str(tmp_path / "plain.keras")!r})
print(*map(float, plain.losses))
names = {{"Holder": Holder, "l2zoo_test_saved_penalty>Holder": Holder}}
lost = keras.saving.load_model({str(tmp_path / "holder.keras")!r}, custom_objects=names)
print(len(lost.losses))
import l2zoo
print(l2zoo.audit(lost).problems)
"""
    )
    penalty, count, problems = output_of([sys.executable, tmp_path / "elsewhere.py"]).splitlines()[-3:]
    assert float(penalty) == pytest.approx(by_hand.added_loss(plain), rel=1e-6)
    assert (count, problems) == ("1", "('1 kernel without a penalty: holder/dense/kernel',)")


def test_a_penalty_that_was_taken_off_does_not_come_back(tmp_path: Path) -> None:
    model = by_hand.reloaded(L2Policy(1e-3).apply(Backbone()), tmp_path)
    L2Policy.remove(model)
    again = by_hand.reloaded(model, tmp_path)
    assert audit(again).problems == ("no weight carries a penalty",)


def test_lora_is_merged_and_what_is_left_keeps_its_penalty(tmp_path: Path) -> None:
    model = by_hand.randomise(Backbone())
    model.get_layer("second").enable_lora(2)
    L2Policy(1e-3).apply(model).save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match=r"2 weights that L2 penalises by the file are not .*lora_kernel_a"):
        again = keras.saving.load_model(tmp_path / "model.keras")
    assert by_hand.added_loss(again) == pytest.approx(by_hand.penalty(again, KERNELS, 1e-3), rel=1e-6)


def test_layers_that_are_named_anew_are_told_by_their_order(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("l2zoo_test_saved_penalty")
    class Nameless(keras.Model):
        def __init__(self, **kwargs: Any):
            inputs = keras.Input((4,))
            super().__init__(inputs, layers.Dense(2)(layers.Dense(3)(inputs)), **kwargs)

        def get_config(self) -> dict[str, Any]:
            return {"name": self.name}

    model = Nameless()
    L2Policy(1e-3, overrides={f"{model.layers[1].name}/kernel": 7}).apply(by_hand.randomise(model))
    again = by_hand.reloaded(model, tmp_path)
    assert again.layers[1].name != model.layers[1].name
    assert [row.strength for row in audit(again).rows] == [row.strength for row in audit(model).rows]


def test_a_damaged_list_is_no_model(tmp_path: Path) -> None:
    L2Policy(1e-3).apply(Backbone()).save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as good:
        contents = {name: good.read(name) for name in good.namelist()}
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad:
        for name, content in contents.items():
            bad.writestr(name, content.replace(b"0.001", b"-1.0") if name.endswith(FILE) else content)
    with pytest.raises(ValueError, match=r"`l2` must be a finite number >= 0, got l2=-1"):
        keras.saving.load_model(tmp_path / "bad.keras")


# ---- What cannot be carried --------------------------------------------------------------------------------


def test_a_model_with_assets_of_its_own_is_named_when_its_config_forgets(tmp_path: Path) -> None:
    model = by_hand.randomise(WithAssets())
    with pytest.warns(UserWarning, match=r"lost by save and load_model: \['first', 'second'\]\.") as caught:
        L2Policy(1e-3).apply(model)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert audit(model).problems == (
        "2 penalties of the variable only: counts now, but not after save and load_model: "
        "first/kernel, second/kernel",
    )
    again = by_hand.reloaded(model, tmp_path)
    assert audit(again).problems == ("no weight carries a penalty",)
    with pytest.warns(UserWarning, match="apply"):
        L2Policy(1e-3).apply(again)  # what the warning advises
    assert by_hand.added_loss(again) == pytest.approx(by_hand.added_loss(model), rel=1e-6)


def test_a_penalty_that_somebody_else_put_in_the_config_is_found_and_comes(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, name="d")(inputs))
    L2Policy(1e-3).apply(by_hand.randomise(model))
    model.get_layer("d").kernel_regularizer = keras.regularizers.L2(1e-2)
    assert audit(model).problems == ("1 penalty with another number after save and load_model: d/kernel",)
    expected = by_hand.penalty(model, ["d/kernel"], 1e-2)
    assert by_hand.added_loss(by_hand.reloaded(model, tmp_path)) == pytest.approx(expected, rel=1e-6)


def test_a_config_that_is_broken_holds_nothing() -> None:
    class Broken(WithAssets):
        def get_config(self) -> dict[str, Any]:
            raise RuntimeError("not this one")

    with pytest.warns(UserWarning, match=r"\['first', 'second'\]"):
        L2Policy(1e-3).apply(Broken())


def test_a_layer_that_warns_when_it_is_made_again_is_quiet() -> None:
    class Warns(Backbone):
        def __init__(self, **kwargs: Any):
            warnings.warn("made", stacklevel=2)
            super().__init__(**kwargs)

    with pytest.warns(UserWarning, match="made"):
        model = Warns()
    model.get_layer("first").kernel.regularizer = keras.regularizers.L2(1e-3)
    assert "1 penalty of the variable only" in audit(model).problems[1]


@pytest.mark.slow
def test_looking_what_a_config_holds_leaves_no_trace_in_random_states_or_layer_names() -> None:
    def draws(look: bool) -> list[Any]:
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        inputs = keras.Input((4,))
        model = keras.Model(inputs, Holder(name="holder")(inputs))
        model.get_layer("holder").dense.kernel.regularizer = keras.regularizers.L2(1e-3)
        if look:
            assert "1 penalty of the variable only" in audit(model).problems[0]
        new = layers.Dense(2)
        new.build((None, 2))
        normal = keras.ops.convert_to_numpy(keras.random.normal((2,)))
        kernel = keras.ops.convert_to_numpy(new.kernel)
        return [
            random.random(),
            np.random.rand(),
            *normal,
            *kernel.ravel(),
            new.name,
            layers.Dropout(0.1).name,
        ]

    assert draws(True) == draws(False)
