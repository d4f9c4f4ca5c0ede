"""What is made of a model's numbers, for each thing that they may mean."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from l2zoo.tasks.output_kind import KINDS, OutputKind, kinds_of

LOGITS = np.random.default_rng(0).normal(0, 30, (50, 4)).astype(np.float32)  # also such that overflow


def test_logits_become_the_probabilities_of_a_softmax():
    found = OutputKind("logits").probabilities(LOGITS)
    np.testing.assert_allclose(found, softmax(LOGITS, axis=1), rtol=1e-5, atol=1e-12)


def test_independent_logits_become_sigmoids():
    with np.errstate(all="raise", under="ignore"):
        found = OutputKind("multilabel_logits").probabilities(LOGITS * 100)
    np.testing.assert_allclose(found, expit(LOGITS * 100), rtol=1e-5, atol=1e-12)


def test_one_number_stands_for_two_classes():
    found = OutputKind("binary_logits").probabilities(LOGITS[:, :1])
    np.testing.assert_allclose(found[:, 1], expit(LOGITS[:, 0]), rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert OutputKind("binary").probabilities(np.array([[0.25]])).tolist() == [[0.75, 0.25]]


@pytest.mark.parametrize("kind", ["probabilities", "multilabel", "values"])
def test_what_is_meant_already_stays_as_it_is(kind):
    assert OutputKind(kind).probabilities(LOGITS) is LOGITS


def test_decisions_are_those_of_the_probabilities():
    assert (OutputKind("logits").decide(LOGITS) == softmax(LOGITS, axis=1).argmax(axis=1)).all()
    one = LOGITS[:, :1]
    assert (OutputKind("binary_logits", 0.9).decide(one) == (expit(one[:, 0]) >= 0.9)).all()
    each = OutputKind("multilabel_logits", (0.1, 0.5, 0.9, 0.99)).decide(LOGITS)
    assert (each == (expit(LOGITS) >= [0.1, 0.5, 0.9, 0.99])).all()
    masks = np.array([[[[0.2], [0.7]]]])
    assert OutputKind("binary").decide(masks).tolist() == [[[0, 1]]]
    with pytest.raises(ValueError, match="plain values says no class"):
        OutputKind("values").decide(LOGITS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_survives_the_manifest(kind):
    made = OutputKind(kind, 0.25) if OutputKind(kind).has_threshold else OutputKind(kind)
    assert OutputKind.of_spec({"shape": [None, 1], **made.to_spec()}) == made
    assert kinds_of({"a": made.to_spec(), "b": {}}) == {"a": made}


def test_thresholds_for_each_class_survive_the_manifest():
    made = OutputKind("multilabel", (0.1, 0.9))
    assert made.to_spec() == {"kind": "multilabel", "threshold": [0.1, 0.9]}
    assert OutputKind.of_spec(made.to_spec()) == made


@pytest.mark.parametrize(
    ("kind", "threshold", "words"),
    [
        ("logitz", 0.5, r"`output_kind` must be one of .*Did you mean 'logits'"),
        ("binary", 0.0, r"`threshold` must be a number between 0 and 1.*got 0\.0"),
        ("binary", "0.5", r"`threshold` must be a number between 0 and 1"),
        ("multilabel", (0.5, 1.0), r"`threshold` must be a number between 0 and 1"),
        ("multilabel", (), r"`threshold` must be a number between 0 and 1"),
        ("binary", (0.5, 0.6), r"`threshold` of two classes must be one number"),
        ("logits", 0.3, r"`threshold` is for outputs that are binary or multilabel, got threshold=0\.3"),
        ("values", 0.3, r"`threshold` is for outputs that are binary or multilabel"),
    ],
)
def test_what_cannot_be_meant_is_refused(kind, threshold, words):
    with pytest.raises(ValueError, match=words):
        OutputKind(kind, threshold)


@pytest.mark.parametrize(
    ("kind", "width", "names", "words"),
    [
        ("probabilities", 1, None, "Of one number a softmax is always 1"),
        ("logits", 1, None, "Of one number a softmax is always 1"),
        ("binary", 2, None, "must have one number, got 2"),
        ("binary", 1, 1, "must name the 2 classes of the model, that of 0 and that of 1, got 1 names"),
        ("multilabel", 3, 2, "must name the 3 classes of the model, got 2 names"),
        ("values", 3, 3, "`class_names` are for outputs with classes"),
    ],
)
def test_widths_and_names_must_fit(kind, width, names, words):
    with pytest.raises(ValueError, match=words):
        OutputKind(kind).check_width(width, names)


def test_as_many_thresholds_as_classes():
    OutputKind("multilabel", (0.5, 0.6)).check_width(2, 2)
    with pytest.raises(ValueError, match="`threshold` must be one number or 3, got 2"):
        OutputKind("multilabel", (0.5, 0.6)).check_width(3)


SHARES = np.array([[0.25, 0.75], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("kind", "answers", "words"),
    [
        ("probabilities", SHARES * 2, "do not add up to 1"),
        ("probabilities", np.array([[1.5, -0.5]]), "do not add up to 1, or leave"),
        ("logits", SHARES, "are probabilities already"),
        ("binary", np.array([[1.2]]), r"leave \[0, 1\]"),
        ("multilabel", -SHARES, r"leave \[0, 1\]: they run from -0\.75 to -0\.25"),
    ],
)
def test_answers_that_contradict_are_found(kind, answers, words):
    with pytest.raises(ValueError, match=words):
        OutputKind(kind).check_answers(answers)


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("probabilities", SHARES),
        ("logits", SHARES * 2),
        ("binary", SHARES[:, :1]),
        ("multilabel", SHARES),
        ("values", SHARES),
        ("probabilities", np.array([[np.nan, 1.0]])),
    ],
)
def test_answers_of_their_kind_pass(kind, answers):
    OutputKind(kind).check_answers(answers)
