"""Fine-tuning goes stage by stage from weights that stay as they were, and says what it cannot do."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from l2zoo import Training
from l2zoo.data import load
from l2zoo.models.backbones import add_classifier, clone_backbone
from l2zoo.studies import finetune as module
from l2zoo.studies.finetune import AT_ONCE, RANDOM, finetune

SIDE = 8
TRAINING = Training(2, 10, learning_rate=3e-2, schedule="constant")


def small_backbone(channels: int = 1) -> keras.Model:
    """Two levels, with a batch norm, whose first kernel tells left from right."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIDE, SIDE, channels))
    x = keras.layers.Rescaling(1 / 255, name="scale")(inputs)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="first")(x)
    x = keras.layers.BatchNormalization(name="first_bn")(x)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="second")(x)
    return keras.Model(inputs, x, name="small")


def images(number: int, seed: int, channels: int = 1):
    """Bright above in class 0, bright below in class 1."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    pixels = rng.integers(0, 60, (number, SIDE, SIDE, channels))
    for image, label in zip(pixels, labels, strict=True):
        image[4 * label : 4 * label + 4] += 150
    return load((pixels.astype("uint8"), labels), "train" if seed == 0 else "test")


def untrained(build, task, data, *, training, l2, seed, run_dir, verbose):
    """In the place of a training: one that learns nothing."""
    run_dir.mkdir(parents=True)
    (run_dir / "how.json").write_text(
        json.dumps([training.learning_rate, training.epochs, data.num_examples])
    )
    return build(training.policy(l2))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    backbone = small_backbone()
    folder = tmp_path_factory.mktemp("finetune")
    before = [part.copy() for part in backbone.get_weights()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "train_model", untrained)
        result = finetune(
            backbone, images(40, 0), images(30, 1), training=TRAINING, levels=(0, 1, None), slower=2,
            limit=20, l2=1e-3, seeds=2, formats=["tflite"], directory=folder,
        )  # fmt: skip
    return result, backbone, before, folder


@pytest.mark.slow
def test_the_backbone_that_was_given_stays_as_it_was(found) -> None:
    _, backbone, before, _ = found
    for mine, then in zip(backbone.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, then)
    assert backbone.trainable
    assert not any(variable.regularizer for variable in backbone.trainable_variables)


@pytest.mark.slow
def test_every_way_is_measured_for_every_seed_in_the_order_of_the_stages(found) -> None:
    result, *_, folder = found
    ways = [RANDOM, AT_ONCE, "a new head alone", "then 1 level", "then all levels"]
    assert list(result.scores) == ways
    for of_way in result.scores.values():
        assert set(of_way) == {"accuracy", "log_loss", "calibration_error"}
        assert all(len(values) == 2 for values in of_way.values())
    assert json.loads((folder / "metrics.json").read_text())["images"] == 20
    assert [row.cells[0].text for row in result.table().rows] == ways


@pytest.mark.slow
def test_l2_counts_for_what_learns_and_batch_norm_stays(found) -> None:
    result, backbone, *_ = found
    learns = {stage.name: stage.learns for stage in result.stages}
    # Two kernels and two biases of convolutions, gamma and beta, a kernel and a bias of the head.
    assert "6 of 8 weights frozen" in learns["a new head alone"]
    assert "4 of 8 weights frozen" in learns["then 1 level"]
    assert "2 of 8 weights frozen" in learns["then all levels"]
    assert "frozen" not in learns[RANDOM]
    head, every = (
        next(s for s in result.stages if s.name == n) for n in ("a new head alone", "then all levels")
    )
    kernels = [w for layer in result.model.layers for w in layer.weights if w.path.endswith("/kernel")]
    by_hand = 1e-3 * sum(float((keras.ops.convert_to_numpy(w).astype("float64") ** 2).sum()) for w in kernels)
    assert every.after == pytest.approx(by_hand, rel=1e-5)
    assert 0 < head.before < every.before  # of the head's kernel alone
    norm = result.model.get_layer("first_bn")
    for mine, then in zip(norm.get_weights(), backbone.get_layer("first_bn").get_weights(), strict=True):
        np.testing.assert_array_equal(mine, then)


@pytest.mark.slow
def test_the_model_after_the_last_stage_is_exported_with_the_metrics_of_all_seeds(found) -> None:
    result, *_ = found
    manifest = result.artifact.manifest
    accuracy = result.scores["then all levels"]["accuracy"]
    assert manifest["metrics"]["test_accuracy"]["mean"] == pytest.approx(np.mean(accuracy))
    assert "Fine-tuned in 3 stages of 2 epochs" in (result.artifact.folder / "README.md").read_text()


@pytest.mark.slow
def test_folds_choose_the_strength_and_the_same_call_goes_on_and_finds_the_same(tmp_path) -> None:
    def run():
        return finetune(
            small_backbone(), images(40, 0), images(30, 1), training=TRAINING, levels=(0, None),
            l2=(0.0, 1e-4), scratch=False, at_once=False, formats=["tflite"], directory=tmp_path,
        )  # fmt: skip

    result, trained = run(), tmp_path / "seed0" / "stage1-all" / "state.npz"
    assert result.l2 == result.search.best
    assert [candidate.strength for candidate in result.search.candidates] == [0.0, 1e-4]
    assert list(result.scores) == ["a new head alone", "then all levels"]
    moment = trained.stat().st_mtime_ns
    again = run()
    assert trained.stat().st_mtime_ns == moment
    assert again.scores == result.scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": small_backbone(3)}, r"`backbone` must take images like .*\(8, 8, 1\), got"),
        ({"backbone": add_classifier(small_backbone(), 10)}, "without its top, include_top=False"),
        ({"levels": (0, 3)}, r"`levels` must be at most the 2 that 'finetuned' has, got levels=3"),
        ({"levels": ()}, r"`levels` must be one stage or several different ones, got \[\]"),
        ({"levels": (0, 1, 1)}, r"different ones, got \[0, 1, 1\]"),
        ({"slower": 0.5}, "`slower` must be at least 1, got slower=0.5"),
        ({"test": images(40, 0)}, "`test`"),
        ({"limit": 41}, "41"),
        ({"seeds": 0}, "`seeds` must be"),
        ({"l2": (0.0, -1e-4)}, "`l2` must be .* got l2=-0.0001"),
        ({"formats": ["tflit"]}, "tflit"),
    ],
)  # fmt: skip
def test_what_cannot_be_fine_tuned_is_refused_before_anything_is_written(tmp_path, change, message) -> None:
    given = {"backbone": small_backbone(), "train": images(40, 0), "test": images(30, 1)} | change
    with pytest.raises(ValueError, match=message):
        finetune(**given, training=TRAINING, directory=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_clone_has_its_own_weights_and_a_random_one_what_normalization_knows() -> None:
    inputs = keras.Input((SIDE, SIDE, 1))
    normal = keras.layers.Normalization(mean=[100.0], variance=[400.0], name="normal")
    adapted = keras.layers.Normalization(name="adapted")
    adapted.adapt(np.array([[[[1.0]]], [[[5.0]]]]))
    x = keras.layers.Conv2D(2, 3, strides=2, padding="same", name="conv")(adapted(normal(inputs)))
    model = keras.Model(inputs, x)
    pixels = np.random.default_rng(0).uniform(0, 255, (3, SIDE, SIDE, 1)).astype("float32")
    twin, other = clone_backbone(model), clone_backbone(model, random=True)
    np.testing.assert_array_equal(twin(pixels), model(pixels))
    assert not np.array_equal(other.get_layer("conv").kernel, model.get_layer("conv").kernel)
    for name in ("normal", "adapted"):
        one, two = (keras.Model(each.inputs[0], each.get_layer(name).output) for each in (model, other))
        np.testing.assert_allclose(one(pixels), two(pixels), rtol=1e-6)
    twin.get_layer("conv").kernel.assign(np.zeros(twin.get_layer("conv").kernel.shape))
    assert np.any(model.get_layer("conv").kernel)


@pytest.mark.slow
def test_a_stage_has_a_lower_rate_than_the_one_before_and_all_ways_take_as_many_passes(found) -> None:
    *_, folder = found
    how = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("seed1/*/how.json")}
    assert how == {
        "scratch": [0.015, 6, 20], "at-once": [0.0075, 6, 20],
        "stage0-0": [0.03, 2, 20], "stage1-1": [0.015, 2, 20], "stage2-all": [0.0075, 2, 20],
    }  # fmt: skip
