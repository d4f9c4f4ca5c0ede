"""What the audit finds, what it refuses, and that it goes on where it was stopped."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from l2zoo import privacy_audit
from l2zoo.data import load
from l2zoo.studies.privacy import Attack, plot_strengths, reference_models, table_of_strengths
from tests.studies.privacy import memory
from tests.studies.privacy.memory import MEMBERS, OTHERS


def audit(model: keras.Model, **options: Any) -> Any:
    usual = {"build": memory.build, "epochs": memory.EPOCHS, "batch_size": memory.BATCH, "references": 4}
    return privacy_audit(model, MEMBERS, OTHERS, **{**usual, "verbose": False, **options})


def printed(table: Any) -> str:
    from rich.console import Console

    console = Console(width=120)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_model_that_has_memorised_its_images_is_found_out() -> None:
    report = audit(memory.overfitted())
    assert report.train_accuracy == 1
    assert report.test_accuracy < 0.6
    for attack in report.attacks:
        assert attack.auc.low > 0.7, attack.name
        assert attack.advantage.low > 0.2, attack.name
    assert report["LiRA"].auc.value > 0.85
    assert report["LiRA"].tpr.value > 0.1  # the loss alone says of no image for certain
    assert 0.5 in report.control.auc


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_models_that_were_never_trained_give_nothing_away(tmp_path: Path) -> None:
    reports = [audit(memory.untrained(seed), epochs=3, directory=tmp_path) for seed in range(3)]
    found = [attack for report in reports for attack in report.attacks]
    assert sum(0.5 in attack.auc for attack in found) >= 7  # of 9; intervals of 95 % may miss
    assert sum(0.0 in attack.advantage for attack in found) >= 7
    for attack in found:
        assert attack.auc.low - 0.5 < 0.1, attack.name
    quiet = [report.sentence for report in reports if report.strongest.auc.low <= 0.5]
    assert quiet
    assert all("could not be told from others" in sentence for sentence in quiet)


def test_without_build_only_the_loss_is_looked_at() -> None:
    report = privacy_audit(memory.overfitted(), load(MEMBERS), load(OTHERS))
    assert [attack.name for attack in report.attacks] == ["loss threshold"]
    assert (report.control, report.references, report.members, report.others) == (None, 0, 120, 110)
    x, y = (np.concatenate(parts) for parts in zip(MEMBERS, OTHERS, strict=True))
    losses = keras.losses.sparse_categorical_crossentropy(y, memory.overfitted().predict(x, verbose=0))
    losses = keras.ops.convert_to_numpy(losses)
    wins = losses[:120, None] < losses[None, 120:]
    assert report["loss threshold"].auc.value == pytest.approx(wins.mean(), abs=2e-3)
    assert "no reference models" in report.sentence


@pytest.mark.slow
def test_sets_that_differ_are_not_taken_for_memory() -> None:
    # What is brighter has its label in it: whoever has learnt that is sure of it, seen or not.
    rng = np.random.default_rng(3)
    y = np.arange(220) % 2
    x = np.where(y[:, None, None, None] == 1, 220, 20) + rng.integers(0, 30, (220, 4, 4, 1))
    members, others = (x[:110].astype("uint8"), y[:110]), (x[110:].astype("uint8"), rng.integers(0, 2, 110))
    model = memory.untrained()
    model.fit(*members, epochs=5, verbose=0)
    report = privacy_audit(model, members, others, build=memory.build, epochs=5, references=4, verbose=False)
    assert report.control.auc.low > 0.5
    assert "Caution: models that have not seen an image are surer of the members as well" in report.sentence
    swapped = dataclasses.replace(report, control=Attack.measured("control", np.arange(200.0), members=100))
    assert "surer of the others as well (control AUC 0.000 [0.000, 0.000])" in swapped.sentence


def test_reference_models_see_every_image_equally_often() -> None:
    recipe = reference_models.Recipe(memory.build, 1, 32, seed=0)
    halves = np.stack([recipe.half(number, 21) for number in range(6)])
    assert (halves.sum(axis=0) == 3).all()
    assert halves.sum(axis=1).tolist() == [10, 11] * 3
    assert len(np.unique(halves, axis=0)) == 6


def test_losses_get_labels_as_they_want_them() -> None:
    y = np.array([2, 0])
    for loss in ("sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy()):
        assert reference_models._targets(memory.build(loss), y).tolist() == [2, 0]
    for loss in ("categorical_crossentropy", keras.losses.CategoricalFocalCrossentropy()):
        assert reference_models._targets(memory.build(loss), y).tolist() == [[0, 0, 1], [1, 0, 0]]


# ---- Kept reference models ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_a_reference_model_depends_on_its_number_and_not_on_what_was_trained_before() -> None:
    recipe = reference_models.Recipe(memory.build, 2, 32, seed=0)

    def models() -> reference_models.ReferenceModels:
        return reference_models.ReferenceModels(recipe, *MEMBERS, like=memory.untrained())

    one = models()
    first = one.train(2)
    other = one.train(3)
    for again in (one.train(2), models().train(2)):
        np.testing.assert_allclose(again, first, rtol=1e-5, atol=1e-5)
    assert not np.allclose(other, first)


def test_a_reference_model_that_diverges_is_an_error_with_its_number_and_epoch() -> None:
    def wild() -> keras.Model:
        model = memory.build()
        model.compile(keras.optimizers.SGD(1e30), "sparse_categorical_crossentropy")
        return model

    recipe = reference_models.Recipe(wild, 3, 32, seed=0)
    models = reference_models.ReferenceModels(recipe, *MEMBERS, like=wild())
    with pytest.raises(
        FloatingPointError, match=r"Reference model 1 diverged in epoch \d of 3\. Choose a sm"
    ):
        models.train(1)


def test_an_audit_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    model, trained = memory.untrained(), []

    class Counted(reference_models.ReferenceModels):
        def train(self, number: int) -> np.ndarray:
            trained.append(number)
            if len(trained) == 3:
                raise KeyboardInterrupt
            return np.random.default_rng(number).normal(size=len(self._y))

    monkeypatch.setattr(reference_models, "ReferenceModels", Counted)
    said = f"Stopped. 2 of 4 are finished; the same call goes on from {tmp_path}"
    with pytest.raises(KeyboardInterrupt, match=re.escape(said)):
        audit(model, epochs=2, directory=tmp_path, verbose=True)
    assert len(list(tmp_path.iterdir())) == 2
    resumed = audit(model, epochs=2, directory=tmp_path, verbose=True)
    assert trained == [0, 1, 2, 2, 3]
    assert "2 of 4 reference models are finished already" in capsys.readouterr().err
    again, whole = audit(model, epochs=2, directory=tmp_path), audit(model, epochs=2)
    assert trained == [0, 1, 2, 2, 3, 0, 1, 2, 3]
    for report in (again, whole):
        assert [one.auc for one in report.attacks] == [one.auc for one in resumed.attacks]
    audit(model, epochs=2, directory=tmp_path, references=6)
    assert trained[9:] == [4, 5]
    with pytest.raises(
        ValueError, match=r"`directory` holds reference models of other images, another model"
    ):
        audit(model, epochs=3, directory=tmp_path)
    (tmp_path / "reference_001.npz").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"reference_001.npz cannot be read: .* Delete it"):
        audit(model, epochs=2, directory=tmp_path)


# ---- The report --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_report_is_a_table_a_sentence_and_pictures(tmp_path: Path) -> None:
    report = audit(memory.overfitted(), epochs=20)
    text = printed(report.table())
    for attack in report.attacks:
        assert attack.name in text
        assert f"{attack.auc.value:.3f} [{attack.auc.low:.3f}, {attack.auc.high:.3f}]" in text
    assert "control" in text
    assert report.strongest.auc.value == max(attack.auc.value for attack in report.attacks)
    assert report.sentence.startswith("Images of the training set can be told from others by membership")
    assert "120 members, 110 others, 4 reference models" in report.sentence
    assert report.plot(tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(KeyError, match="no attack 'lira', only"):
        _ = report["lira"]
    reports = {1e-2: report, 0.0: report, 1e-3: report}
    rows = printed(table_of_strengths(reports)).splitlines()
    assert [row.split()[0] for row in rows[1::2]] == ["0", "0.001", "0.01"]
    assert f"{report.test_accuracy:.3f}" in rows[1]
    words = plot_strengths(reports, tmp_path / "strengths.svg").read_text()
    assert "test accuracy" in words
    assert plot_strengths({0.0: report}, tmp_path / "one.png").exists()
    with pytest.raises(ValueError, match="`reports` must hold at least one audit"):
        table_of_strengths({})


# ---- What is refused ---------------------------------------------------------------------------------------


def both(x: np.ndarray | None = None, y: np.ndarray | None = None) -> dict[str, Any]:
    """The members, with other images or labels."""
    return {"train": (MEMBERS[0] if x is None else x, MEMBERS[1] if y is None else y)}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"train": MEMBERS[0]}, TypeError, "`train` must be an ImageData from l2zoo.data.load, or a tuple"),
        ({"test": memory.data(99)}, ValueError, "`test` must hold at least 100 images, got 99"),
        (both(y=MEMBERS[1][1:]), ValueError, "`train`: `x` and `y` must have the same length"),
        (both(y=MEMBERS[1] + 0.5), ValueError, "`train`: "),
        (both(x=MEMBERS[0][:, :3]), ValueError, "`train` and `test` must hold images of one shape"),
        (
            both(y=MEMBERS[1] + 1),
            ValueError,
            r"Labels of `train` must be in \[0, 3\), the classes of `model`",
        ),
        ({"model": lambda x: x}, TypeError, "`model` must be a keras.Model, got function"),
        ({"epochs": None}, ValueError, "`epochs` must say how long the model was trained"),
        ({"epochs": 0}, ValueError, "`epochs` must be a whole number >= 1"),
        ({"references": 2}, ValueError, "`references` must be a whole number >= 4, got references=2"),
        ({"references": 5}, ValueError, "`references` must be even, got references=5"),
        (
            {"build": memory.untrained()},
            TypeError,
            "`build` must be a function that returns a model, got Seq",
        ),
        ({"build": dict}, TypeError, "`build` must return a keras.Model, got dict"),
        ({"build": None, "directory": "kept"}, ValueError, "`directory` is for reference models, which need"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], error: type, words: str) -> None:
    usual = {"build": memory.build, "epochs": 2, "references": 4, "verbose": False}
    given = {"model": memory.untrained(), "train": MEMBERS, "test": OTHERS, **usual, **change}
    with pytest.raises(error, match=words):
        privacy_audit(given.pop("model"), given.pop("train"), given.pop("test"), **given)


def test_images_in_both_sets_are_refused_with_their_number() -> None:
    x = np.concatenate([OTHERS[0], MEMBERS[0][[7, 30, 4]]]).astype("float32")  # another type, the same images
    words = "but 3 of the 113 examples in `test` are in `train` too (the first: test[110] is train[7])"
    with pytest.raises(ValueError, match=re.escape(words)):
        privacy_audit(memory.untrained(), MEMBERS, (x, np.zeros(113, int)))


def test_logits_are_audited_as_the_probabilities_that_a_softmax_makes_of_them() -> None:
    keras.utils.set_random_seed(0)
    body = [keras.Input((4, 4, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    logits = keras.Sequential([*body, keras.layers.Dense(3)])
    same = keras.Sequential([logits, keras.layers.Softmax()])
    found, expected = (privacy_audit(model, MEMBERS, OTHERS) for model in (logits, same))
    assert found.train_accuracy == expected.train_accuracy
    wanted = expected["loss threshold"].auc.value
    assert found["loss threshold"].auc.value == pytest.approx(wanted, abs=1e-3)


@pytest.mark.slow
def test_one_sigmoid_is_audited_as_two_classes(tmp_path: Path) -> None:
    def build() -> keras.Model:
        body = [keras.Input((4, 4, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
        model = keras.Sequential([*body, keras.layers.Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy")
        return model

    keras.utils.set_random_seed(0)
    model = build()
    two = [(x, y % 2) for x, y in (MEMBERS, OTHERS)]
    found = privacy_audit(model, *two, build=build, epochs=1, references=4, verbose=False)
    p = model.predict(two[0][0], verbose=0)[:, 0]
    assert found.train_accuracy == pytest.approx(((p >= 0.5) == two[0][1]).mean())
    assert {one.name for one in found.attacks} == {"loss threshold", "LiRA", "LiRA offline"}
    with pytest.raises(ValueError, match=r"must be in \[0, 2\), the classes of `model`"):
        privacy_audit(model, (two[0][0], two[0][1] + 1), two[1])


def test_models_that_say_no_class_are_refused() -> None:
    inputs = keras.Input((4, 4, 1))
    many = keras.layers.Dense(3, activation="sigmoid")(keras.layers.Flatten()(inputs))
    labels = keras.Model(inputs, many, name="labels")
    with pytest.raises(
        ValueError, match=r"must say one of several classes, but 'labels' gives .*'multilabel'"
    ):
        privacy_audit(labels, MEMBERS, OTHERS)
    masks = keras.Model(inputs, keras.layers.Concatenate()([inputs, inputs]), name="masks")
    with pytest.raises(
        ValueError, match=r"`model` must say the class of an image.* gives shape \(230, 4, 4, 2\)"
    ):
        privacy_audit(masks, MEMBERS, OTHERS)
    several = keras.Model(inputs, {"a": labels(inputs)}, name="several")
    with pytest.raises(ValueError, match="'several' gives dict"):
        privacy_audit(several, MEMBERS, OTHERS)


def test_a_build_of_another_model_is_refused() -> None:
    def wider() -> keras.Model:
        model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
        model.compile("sgd", "mse")
        return model

    with pytest.raises(
        ValueError, match="architecture of `model`, got 2 weights with 51 numbers instead of 4"
    ):
        audit(memory.untrained(), build=wider)

    def bare() -> keras.Model:
        return keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])

    with pytest.raises(ValueError, match="`build` must return a compiled model"):
        audit(memory.untrained(), build=bare)
