from __future__ import annotations

import keras
import numpy as np
import pytest

from l2zoo.models.detector import build_detector
from l2zoo.tasks.detection import boxes
from l2zoo.tasks.detection.final_boxes import FinalBoxes, add_final_boxes

SHAPE, STRIDES, CLASSES = (32, 48), (4, 8), 3
WHERE = boxes.places(*SHAPE, strides=STRIDES)


def answers(seed: int, *, batch: int = 2) -> dict[str, np.ndarray]:
    """What a detector might say: large boxes, which hide each other in chains."""
    rng = np.random.default_rng(seed)
    shape = (batch, len(WHERE))
    return {
        "class_logits": rng.normal(-1, 2, (*shape, CLASSES)).astype("float32"),
        "sides": rng.uniform(2, 14, (*shape, 4)).astype("float32"),
        "centerness_logits": rng.normal(0, 1, (*shape, 1)).astype("float32"),
    }


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Of two boxes `(4,)`."""
    shared = np.prod(np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0))
    return shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)


def greedy(said: dict[str, np.ndarray], image: int, *, threshold: float, overlap: float, most: int) -> list:
    """One box after another, as a textbook has it."""
    scores = np.sqrt(sigmoid(said["class_logits"][image]) * sigmoid(said["centerness_logits"][image]))
    sides = said["sides"][image]
    corners = np.concatenate([WHERE[:, :2] - sides[:, :2], WHERE[:, :2] + sides[:, 2:]], axis=1)
    corners = np.clip(corners, 0, [SHAPE[1], SHAPE[0]] * 2)
    kept: list = []
    for index in np.argsort(-scores, axis=None, kind="stable"):
        place, label = np.unravel_index(index, scores.shape)
        if scores[place, label] < threshold or len(kept) == most:
            break
        if all(c != label or iou(corners[place], box) <= overlap for _, c, box in kept):
            kept.append((scores[place, label], label, corners[place]))
    return kept


@pytest.mark.sweep_elsewhere
@pytest.mark.backends
@pytest.mark.parametrize("seed", range(4))
def test_it_keeps_what_greedy_suppression_in_numpy_keeps(seed):
    said = answers(seed)
    layer = FinalBoxes(SHAPE, strides=STRIDES, max_boxes=20, score_threshold=0.3, candidates=len(WHERE) * 3)
    out = {name: keras.ops.convert_to_numpy(value) for name, value in layer(said).items()}
    for image in range(2):
        expected = greedy(said, image, threshold=0.3, overlap=0.5, most=20)
        assert len(expected) > 5
        count = len(expected)
        np.testing.assert_allclose(out["scores"][image, :count], [e[0] for e in expected], rtol=1e-5)
        np.testing.assert_array_equal(out["classes"][image, :count], [e[1] for e in expected])
        np.testing.assert_allclose(out["boxes_xyxy"][image, :count], [e[2] for e in expected], atol=1e-4)
        assert (out["classes"][image, count:] == -1).all()
        assert not out["scores"][image, count:].any()


def test_an_empty_image_has_no_boxes_but_as_many_rows():
    said = answers(0)
    said["class_logits"][:] = -20
    out = FinalBoxes(SHAPE, strides=STRIDES, max_boxes=7, candidates=7)(said)
    assert out["boxes_xyxy"].shape == (2, 7, 4)
    assert not keras.ops.convert_to_numpy(out["scores"]).any()


def test_fewer_places_than_boxes_are_filled_up():
    where = boxes.places(8, 8, strides=(8,))
    said = {
        "class_logits": np.ones((1, 1, 2)),
        "sides": np.full((1, 1, 4), 3.0),
        "centerness_logits": np.ones((1, 1, 1)),
    }
    out = FinalBoxes((8, 8), strides=(8,), max_boxes=5, candidates=5)(
        {name: value.astype("float32") for name, value in said.items()}
    )
    assert len(where) == 1
    assert keras.ops.convert_to_numpy(out["classes"])[0].tolist() == [0, 1, -1, -1, -1]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(out["boxes_xyxy"])[0, 0], [1, 1, 7, 7])


@pytest.mark.slow
def test_a_deployed_detector_runs_in_tflite_with_builtin_operators_alone(tmp_path):
    tf = pytest.importorskip("tensorflow")
    from ai_edge_litert.interpreter import Interpreter

    model = build_detector((32, 32, 3), num_classes=3, channels=8, depth=1)
    model.get_layer("class_logits").set_weights(
        [np.random.default_rng(0).normal(0, 1, (3, 3, 8, 3)), np.zeros(3)]
    )
    whole = add_final_boxes(model, strides=(4, 8, 16), max_boxes=10)
    whole.export(tmp_path / "saved", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = Interpreter(model_content=converter.convert())
    runner = interpreter.get_signature_runner()
    images = np.random.default_rng(1).integers(0, 256, (1, 32, 32, 3)).astype("float32")
    expected = whole.predict(images, verbose=0)
    found = runner(**{next(iter(runner.get_input_details())): images})
    assert (expected["scores"] > 0).sum() > 3
    by_shape = {value.shape: value for value in found.values() if value.dtype == np.float32}
    np.testing.assert_allclose(by_shape[1, 10], expected["scores"], atol=1e-4)
    np.testing.assert_allclose(by_shape[1, 10, 4], expected["boxes_xyxy"], atol=1e-2)


@pytest.mark.slow
def test_it_is_saved_and_loaded(tmp_path):
    detector = build_detector((32, 32, 3), num_classes=2, channels=8, depth=1)
    model = add_final_boxes(detector, strides=(4, 8, 16), max_boxes=5)
    model.save(tmp_path / "detector.keras")
    again = keras.saving.load_model(tmp_path / "detector.keras")
    images = np.zeros((1, 32, 32, 3), "uint8")
    found, expected = again.predict_on_batch(images), model.predict_on_batch(images)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)


def test_a_threshold_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match=r"`iou_threshold` must be in \[0, 1\], got iou_threshold=5"):
        FinalBoxes(SHAPE, strides=STRIDES, iou_threshold=5)
