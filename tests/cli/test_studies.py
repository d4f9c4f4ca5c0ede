"""The commands that compare: regularisers, and what models give away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.slow
def test_regularizers_are_compared_each_at_its_own_strength(
    l2zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--limit", 60, "--test-split", "test[:40]", "--epochs", 1, "--folds", 2, "--seeds", 2]
    answer = l2zoo("compare", "l2zoo_digits", *small, "--noise", 0.2, "--out", "out", "--json")
    assert answer.status == 0, answer.err
    (content,) = json.loads(answer.out)["comparisons"]
    assert content["label_noise"] == 0.2
    names = [row["variant"] for row in content["variants"]]
    assert names == ["none", "L2", "L1", "AdamW", "dropout", "zoom", "textbook"]
    assert [row["strength"] is None for row in content["variants"]] == [True, *[False] * 3, True, True, False]
    assert all(row["trained"] == 2 for row in content["variants"])
    assert content["may_be_said"] in " ".join(answer.err.split())  # stdout is for JSON
    assert Path(content["files"]["report"]).exists()
    kept = json.loads(Path("out/noise_0.2/comparison.json").read_text())
    assert kept["variants"] == content["variants"]


@pytest.mark.slow
def test_privacy_audits_every_strength(l2zoo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    small = ["--images", 100, "--epochs", 1, "--references", 4, "--strengths", "0,1e-2", "--out", out]
    answer = l2zoo("privacy", "l2zoo_digits", *small)
    assert answer.status == 0, answer.err
    assert "100 members, 100 others, 4 reference models" in " ".join(answer.out.split())
    rows = [line for line in answer.out.splitlines() if "loss threshold " in line and "±" in line]
    assert [row.split()[0] for row in rows] == ["0", "0.01"]
    assert len(list((out / "references_0.01").glob("*.npz"))) == 4
    for picture in ("strengths", "roc"):
        assert (out / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    again = l2zoo("privacy", "l2zoo_digits", *small, "--json")  # from the models that are finished
    found = json.loads(again.out)["strengths"]
    assert [row["l2"] for row in found] == [0, 0.01]
    assert set(found[0]["attacks"]) == {"loss threshold", "LiRA", "LiRA offline", "control"}


def test_too_few_images_are_refused(l2zoo, tmp_path: Path) -> None:
    answer = l2zoo("privacy", "l2zoo_digits", "--images", 5000, "--out", tmp_path / "out")
    assert (answer.status, answer.out) == (1, "")
    assert "--images must be at most 718, half of what there is, got --images 5000." in answer.err
