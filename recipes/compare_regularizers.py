"""Which regulariser for a classifier on few images: none, L2, L1, or your own penalty?

    python recipes/compare_regularizers.py --out runs/compare

Each strength is chosen by cross-validation on the training images; then every variant is trained with the
same seeds and scored on the test images. Ends with a table, a forest plot and `report.html`. `l2zoo compare`
has more variants, and compares on wrong labels too. Stopped in the middle, the same command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import l2zoo
from l2zoo import L2Policy, Variant
from l2zoo.data import load_train_test
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DATA, LIMIT = "l2zoo_digits", 300
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
VARIANTS = [
    Variant("none"),
    Variant("L2", strengths=STRENGTHS),
    Variant("L1", l2=lambda strength: L2Policy(0.0, l1=strength), strengths=(1e-5, 1e-4, 1e-3, 1e-2)),
    Variant(  # a factor of its own for the last layer
        "L2, head free",
        l2=L2Policy(1.0, overrides={"logits/kernel": 0.0}),
        strengths=STRENGTHS,
    ),
]


def main(out: Path = Path("runs/compare"), epochs: int = 40, limit: int = LIMIT, seeds: int = 5) -> None:
    """Compares regularisers on the same images and seeds."""
    train, test = load_train_test(DATA, limit=limit)

    def build(policy: L2Policy) -> Any:
        return l2zoo.build("cnn_plain", train.image_shape, train.num_classes, l2=policy)

    found = l2zoo.compare(
        build, train, VARIANTS, test=test, training=l2zoo.Training(epochs, batch_size=32), folds=3,
        seeds=seeds, directory=out,
    )  # fmt: skip
    show(found, f"Picture, table and report.html: {out}")


if __name__ == "__main__":
    run_script(main)
