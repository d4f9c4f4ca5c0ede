"""The commands that compare: regularisers, and what models give away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_regularizers_are_compared_each_at_its_own_strength(
    l2zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2zoo.studies import compare

    def few(*given: Any, **named: Any) -> list[compare.Variant]:
        none, *_, dropout, _, textbook = compare_usual(*given, **named)
        return [none, dropout, textbook]

    compare_usual = compare.usual_variants
    monkeypatch.setattr(compare, "usual_variants", few)  # each is traced anew
    monkeypatch.chdir(tmp_path)
    small = ["--limit", 60, "--test-split", "test[:40]", "--epochs", 1, "--folds", 2, "--seeds", 2]
    answer = l2zoo("compare", "l2zoo_digits", *small, "--noise", 0.2, "--out", "out", "--json")
    assert answer.status == 0, answer.err
    (content,) = json.loads(answer.out)["comparisons"]
    assert content["label_noise"] == 0.2
    names = {row["variant"]: row["strength"] for row in content["variants"]}
    assert (names["none"], names["dropout"]) == (None, None)
    assert names["textbook"] in (1, 10, 100, 1000)
    assert all(row["trained"] == 2 for row in content["variants"])
    assert content["may_be_said"] in " ".join(answer.err.split())  # stdout is for JSON
    assert Path(content["files"]["report"]).exists()
    kept = json.loads(Path("out/noise_0.2/comparison.json").read_text())
    assert kept["variants"] == content["variants"]


@pytest.mark.sweep
@pytest.mark.slow
def test_privacy_audits_every_strength(l2zoo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    small = ["--images", 100, "--epochs", 1, "--references", 4, "--strengths", "0,1e-2", "--out", out]
    answer = l2zoo("privacy", "l2zoo_digits", *small, "--json")
    assert answer.status == 0, answer.err
    assert "100 members, 100 others, 4 reference models" in " ".join(answer.err.split())
    found = json.loads(answer.out)
    assert [row["l2"] for row in found["strengths"]] == [0, 0.01]
    assert set(found["strengths"][0]["attacks"]) == {"loss threshold", "LiRA", "LiRA offline", "control"}
    assert len(list((out / "references_0.01").glob("*.npz"))) == 4
    for picture in found["files"].values():
        assert Path(picture).read_bytes().startswith(b"\x89PNG")


def test_too_few_images_are_refused(l2zoo, tmp_path: Path) -> None:
    answer = l2zoo("privacy", "l2zoo_digits", "--images", 5000, "--out", tmp_path / "out")
    assert (answer.status, answer.out) == (1, "")
    assert "--images must be at most 718, half of what there is, got --images 5000." in answer.err
