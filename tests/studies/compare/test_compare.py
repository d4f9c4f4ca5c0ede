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
from l2zoo.engine.record import Unit
from l2zoo.studies.compare.result import Comparison
from l2zoo.studies.compare.variants import VariantBuilder
from l2zoo.tasks import Classification, Regression
from tests.engine.known import Known
from tests.search import small

DATA = small.data(48)
TRAINING = Training(epochs=2, batch_size=8, learning_rate=1e-2)
QUICK: dict[str, Any] = {"training": TRAINING, "folds": 2, "seeds": 2, "verbose": False}
BARE = L2Policy(0.0)


def build(policy: L2Policy) -> keras.Model:
    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(3, activation="softmax"),
    ]
    return policy.apply(keras.Sequential([keras.Input((4, 4, 1)), *layers]))


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
def test_variants_share_folds_and_seeds_and_keep_their_own_settings(tmp_path: Path) -> None:
    variants = [
        Variant("none"),
        Variant("again", build=build),
        Variant("L2", strengths=(1e-3, 1e-1)),
        Variant("adamw", optimizer="adamw", l2=0.1),
        Variant("focal L1", loss="focal", augment="zoom", l2=L2Policy(0.0, l1=1e-2)),
    ]
    found = compare(build, DATA, variants, directory=tmp_path, **QUICK)
    assert [each.name for each in found.standings] == [each.name for each in variants]
    assert found["none"].scores.keys() == {(seed, fold) for seed in (0, 1) for fold in (0, 1)}
    assert found["again"].scores == found["none"].scores  # or it would not be paired
    assert found["again"].difference.mean == 0
    assert repr(found) == f"{found.may_be_said}\n\n{found.may_not_be_said}"
    assert found["L2"].strength in (1e-3, 1e-1)
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()[1:]]
    ends = {dict(line["others"])["variant"]: line["curves"]["loss"][-1] for line in lines}
    assert len(lines) == 4 * 4 + 8
    assert len({round(loss, 9) for loss in ends.values()}) == len(variants) - 1  # but for none and again
    rows = list(csv.DictReader((tmp_path / "comparison.csv").read_text().splitlines()))
    assert [row["variant"] for row in rows] == [each.name for each in variants]
    assert float(rows[0]["mean"]) == pytest.approx(np.mean(list(found["none"].scores.values())))
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "What differs from none?" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "where", [{"folds": 2}, pytest.param({"test": True}, marks=pytest.mark.sweep)], ids=["folds", "test set"]
)
def test_of_an_error_less_is_better_on_folds_and_on_a_test_set(where: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (160, 4, 4, 1), np.uint8)
    data = x, (x.mean((1, 2, 3)) / 50 + rng.normal(0, 0.02, 160)).astype("float32")
    train, test = ([part[:100] for part in data], [part[100:] for part in data])
    if "test" in where:
        where = {"test": load(tuple(test), task="regression")}

    def numbers(policy: L2Policy) -> keras.Model:
        layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(1)]
        return policy.apply(keras.Sequential([keras.Input((4, 4, 1)), *layers]))

    found = compare(
        numbers,
        load(tuple(train), task="regression"),
        [Variant("none"), Variant("heavy", l2=10.0)],
        task=Regression(),
        training=Training(epochs=6, batch_size=10, learning_rate=3e-2),
        seeds=3,
        verbose=False,
        **where,
    )
    assert (found.metric, found.mode) == ("val_mae", "min")
    assert found["heavy"].difference.low > 0
    assert found.verdict(found["heavy"]) == "worse"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings with which nothing is trained and nothing is drawn."""
    monkeypatch.setattr(Comparison, "save", lambda self, directory: None)
    return {**QUICK, "engine": lambda job: Known(job, fail=lambda unit: _variant(unit) == "wild")}


def _variant(unit: Unit) -> Any:
    return dict(unit.others)["variant"]


def test_only_what_is_new_or_changed_is_trained_again(tmp_path: Path, quick: dict[str, Any]) -> None:
    ledger = tmp_path / "ledger.jsonl"

    def trained(*variants: Variant, **more: Any) -> int:
        before = len(ledger.read_text().splitlines()) if ledger.exists() else 1
        compare(build, DATA, variants, directory=tmp_path, **{**quick, **more})
        return len(ledger.read_text().splitlines()) - before

    none, strong = Variant("none"), Variant("L2", l2=1e-2)
    assert trained(none, strong) == 8
    assert trained(none, strong) == 0
    assert trained(none, Variant("L2", l2=1e-3), Variant("L1", l2=L2Policy(0.0, l1=1e-3))) == 8
    assert trained(none, strong, training=Training(epochs=1, batch_size=8)) == 8

    def loaded(policy: L2Policy) -> keras.Model:
        model = build(policy)
        model.layers[-1].kernel.assign(np.full((16, 3), 0.5))  # as weights from elsewhere are
        return model

    assert trained(none, Variant("L2", l2=1e-2, build=loaded)) == 4
    assert trained(none, Variant("L2", l2=1e-2, build=loaded)) == 0
    with pytest.raises(ValueError, match="ledger of another search"):
        compare(build, small.data(48, seed=1), [none, strong], directory=tmp_path, **quick)


@pytest.mark.slow
def test_with_a_test_set_strengths_are_chosen_on_folds_of_the_training_images(tmp_path: Path) -> None:
    variants = [Variant("none"), Variant("L2", strengths=(1e-3, 10.0))]
    found = compare(small.build, DATA, variants, test=small.data(30, seed=1), directory=tmp_path, **QUICK)
    assert found.folds == 0
    assert found["L2"].strength == 1e-3  # with 10 the model becomes a constant
    assert found["none"].scores.keys() == {(0, 2), (1, 2)}
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()[1:]]
    tuned = [line for line in lines if line["fold"] < 2]
    assert {(line["seed"], dict(line["others"])["variant"]) for line in tuned} == {(0, "L2")}
    # A score on 30 images; on folds it would be one of 24.
    assert all(score * 30 == pytest.approx(round(score * 30)) for score in found["none"].scores.values())


@pytest.mark.parametrize("tested", [False, True])
def test_a_variant_whose_trainings_all_fail_is_said_to_have_failed(
    tested: bool, quick: dict[str, Any]
) -> None:
    variants = [Variant("none"), Variant("wild", strengths=(1e-3, 1e-2))]
    test = small.data(30, seed=1) if tested else None
    found = compare(build, DATA, variants, test=test, **quick)
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
        ([Variant("a"), Variant("b")], {"test": DATA}, "48 of the 48 examples in `test`"),
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


def test_images_and_labels_or_what_load_gives(quick: dict[str, Any]) -> None:
    jobs: list[Any] = []
    quick["engine"] = lambda job: jobs.append(job) or Known(job)
    for data in (load(DATA), DATA):
        compare(build, data, [Variant("a"), Variant("b")], **quick)
    for x, y in ((job.x, job.y) for job in jobs):
        np.testing.assert_array_equal(x, DATA[0])
        np.testing.assert_array_equal(y.argmax(axis=1), DATA[1])


def test_each_variant_that_is_through_is_a_line(
    quick: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {**quick, "directory": tmp_path, "verbose": True}
    compare(build, DATA, [Variant("none"), Variant("wild", l2=1e-3)], **settings)
    assert capsys.readouterr().err.splitlines() == [
        "none: 4 trainings, mean score 0.5000",
        "wild: 0 trainings, every training failed",
    ]
    compare(build, DATA, [Variant("none"), Variant("wild", l2=1e-3)], **settings)
    said = capsys.readouterr().err
    assert said.strip() == "8 of 8 trainings are finished already and are not run again."
