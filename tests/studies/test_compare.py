"""`compare`: the same data and seeds for every variant, and each is trained once."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import numpy as np
import pytest

from l2zoo import L2Policy, Training, Variant, compare
from l2zoo.data import load
from l2zoo.studies.compare.variants import VariantBuilder
from l2zoo.tasks import Classification
from tests.search import small

DATA = small.data(48)
TRAINING = Training(epochs=2, batch_size=8, learning_rate=1e-2)
QUICK: dict[str, Any] = {"training": TRAINING, "folds": 2, "seeds": 2, "verbose": False}
BARE = L2Policy(0.0)


def build(policy: L2Policy) -> keras.Model:
    return small.build(policy)


@pytest.mark.backends
def test_variants_share_folds_and_seeds_and_keep_their_own_settings(tmp_path: Path) -> None:
    variants = [
        Variant("none"),
        Variant("again", build=build),
        Variant("L2", strengths=(1e-3, 1e-1)),
        Variant("L1", l2=L2Policy(0.0, l1=1e-2)),
        Variant("sgd", optimizer="sgd", learning_rate=0.05),
        Variant("adamw", optimizer="adamw", l2=0.1),
        Variant("focal", loss="focal"),
        Variant("zoom", augment="zoom"),
    ]
    found = compare(build, DATA, variants, directory=tmp_path, **QUICK)
    assert [each.name for each in found.standings] == [each.name for each in variants]
    assert found["none"].scores.keys() == {(seed, fold) for seed in (0, 1) for fold in (0, 1)}
    assert found["again"].scores == found["none"].scores  # or it would not be paired
    assert found["again"].difference.mean == 0
    assert found["L2"].strength in (1e-3, 1e-1)
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()[1:]]
    ends = {dict(line["others"])["variant"]: line["curves"]["loss"][-1] for line in lines}
    assert len(lines) == 4 * 7 + 8
    assert len({round(loss, 9) for loss in ends.values()}) == len(variants) - 1  # but for none and again
    rows = list(csv.DictReader((tmp_path / "comparison.csv").read_text().splitlines()))
    assert [row["variant"] for row in rows] == [each.name for each in variants]
    assert float(rows[0]["mean"]) == pytest.approx(np.mean(list(found["none"].scores.values())))
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "What differs from none?" in (tmp_path / "report.html").read_text()


def test_only_what_is_new_or_changed_is_trained_again(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"

    def trained(*variants: Variant, **more: Any) -> int:
        before = len(ledger.read_text().splitlines()) if ledger.exists() else 1
        compare(build, DATA, variants, directory=tmp_path, **{**QUICK, **more})
        return len(ledger.read_text().splitlines()) - before

    none, strong = Variant("none"), Variant("L2", l2=1e-2)
    assert trained(none, strong) == 8
    assert trained(none, strong) == 0
    assert trained(none, Variant("L2", l2=1e-3), Variant("L1", l2=L2Policy(0.0, l1=1e-3))) == 8
    assert trained(none, strong, training=Training(epochs=1, batch_size=8)) == 8
    with pytest.raises(ValueError, match="ledger of another search"):
        compare(build, small.data(48, seed=1), [none, strong], directory=tmp_path, **QUICK)


def test_with_a_test_set_strengths_are_chosen_on_folds_of_the_training_images(tmp_path: Path) -> None:
    variants = [Variant("none"), Variant("L2", strengths=(1e-3, 10.0))]
    found = compare(build, DATA, variants, test=small.data(30, seed=1), directory=tmp_path, **QUICK)
    assert found.folds == 0
    assert found["L2"].strength == 1e-3  # with 10 the model becomes a constant
    assert found["none"].scores.keys() == {(0, 2), (1, 2)}
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()[1:]]
    tuned = [line for line in lines if line["fold"] < 2]
    assert {(line["seed"], dict(line["others"])["variant"]) for line in tuned} == {(0, "L2")}
    # A score on 30 images; on folds it would be one of 24.
    assert all(score * 30 == pytest.approx(round(score * 30)) for score in found["none"].scores.values())


@pytest.mark.parametrize("tested", [False, True])
def test_a_variant_that_diverges_is_said_to_have_failed(tested: bool) -> None:
    wild = {"optimizer": "sgd", "learning_rate": 1e30, "strengths": (1e-3, 1e-2)}
    test = small.data(30, seed=1) if tested else None
    found = compare(build, DATA, [Variant("none"), Variant("wild", **wild)], test=test, **QUICK)
    assert found["wild"].failed == (4 if tested else 8)
    assert found["wild"].scores == {}
    assert "Too few trainings of wild finished" in found.may_be_said


@pytest.mark.backends
def test_the_objective_of_textbooks_term_by_term() -> None:
    """`1/(2n) * sum of squared errors + s/(2m) * sum(w ** 2)`, with Adam."""
    variant = Variant("textbook", l2=L2Policy(0.5, convention="mean"), loss="squared_error")
    builder = VariantBuilder(build, (variant,), Classification(["a", "b", "c"]), TRAINING)
    model = builder({"variant": "textbook", "l2": 0.0, "examples": 48})
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    x, y = DATA
    wanted = np.eye(3, dtype="float32")[y]
    outputs = np.asarray(keras.ops.convert_to_numpy(model(x)), "float64")
    errors = np.sum((wanted - outputs) ** 2) / (2 * len(x))
    kernels = [w for w in model.get_weights() if w.ndim > 1]
    squares = sum(np.sum(np.asarray(w, "float64") ** 2) for w in kernels)
    penalty = 0.5 / (2 * model.count_params()) * squares
    assert model.evaluate(x, wanted, batch_size=48, verbose=0)[0] == pytest.approx(errors + penalty, rel=1e-5)


def test_a_builder_reaches_workers_with_its_functions() -> None:
    variant = Variant("L1", l2=lambda s: L2Policy(0.0, l1=s), strengths=(1e-2,), augment="shift+zoom")
    builder = VariantBuilder(build, (variant,), Classification(["a", "b", "c"]), TRAINING)
    there = cloudpickle.loads(cloudpickle.dumps(builder))
    model = there({"variant": "L1", "l2": 1e-2, "examples": 48})
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["InputLayer", "RandomTranslation", "RandomZoom", "Sequential"]
    assert len(model.losses) == 2
    assert float(model.losses[0]) > 0


@pytest.mark.parametrize(
    ("variants", "more", "message"),
    [
        ([Variant("a")], {}, "`variants` must be at least two"),
        ([Variant("a"), Variant("b"), Variant("a")], {}, r"\['a'\] stand there more than once"),
        ([Variant("a"), "b"], {}, "must be l2zoo.Variant, got 'b'"),
        ([Variant("a"), Variant("b")], {"baseline": "c"}, r"`baseline` .* one of \['a', 'b'\], got 'c'"),
        ([Variant("a"), Variant("b")], {"seeds": 1}, "`seeds` must be at least 2"),
        ([Variant("a"), Variant("b")], {"test": DATA}, "48 of the 48 in `test`"),
        ([Variant("a"), Variant("b", augment="mixup")], {}, "must leave targets as they are"),
        (
            [Variant("a"), Variant("b", l2=0.1)],
            {"build": lambda policy: small.build(0.0)},
            "`build` ignores the policy of variant 'b'",
        ),
        (
            [Variant("a"), Variant("b", loss="focal")],
            {"objective": "val_data_loss"},
            "must not be a loss where variants have different ones",
        ),
        (
            [Variant("a"), Variant("b")],
            {"training": Training(epochs=1, mixed_precision=True)},
            "without average and mixed_precision",
        ),
    ],
)
def test_bad_input_says_what_to_do(variants: list[Any], more: dict[str, Any], message: str) -> None:
    settings = {"build": build, **QUICK, **more}
    with pytest.raises((ValueError, TypeError), match=message):
        compare(settings.pop("build"), DATA, variants, **settings)


def test_a_variant_with_a_strength_and_a_choice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a strength, l2=0\.1, and `strengths`"):
        Variant("both", l2=0.1, strengths=(1e-3, 1e-2))
    with pytest.raises(ValueError, match="say from which in `strengths`"):
        Variant("L1", l2=lambda s: L2Policy(0.0, l1=s))
    with pytest.raises(ValueError, match="`name` of a variant"):
        Variant("")


def test_images_and_labels_or_what_load_gives() -> None:
    data = load(DATA)
    assert compare(build, data, [Variant("a"), Variant("b")], **QUICK)["a"].scores == (
        compare(build, DATA, [Variant("a"), Variant("b")], **QUICK)["a"].scores
    )
