"""What does L2 do against memory? Can one tell the images a classifier was trained on, at each strength?

    python recipes/privacy.py --out runs/privacy

Trains a small CNN on few real digits without L2 and with more and more of it, and attacks each of the models:
by the loss of an image, and by LiRA, which compares with models that have not seen the image. Ends with a
table, and with a picture of what is given away and what L2 costs. `l2zoo privacy` does the same with options.
Stopped in the middle, the same command goes on from the reference models that are finished.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import l2zoo
from l2zoo.data import load
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DATA = "l2zoo_digits"  # or a TFDS name, or folder:PATH with class folders
STRENGTHS = (0.0, 1e-4, 1e-3, 1e-2)


def main(out: Path = Path("runs/privacy"), epochs: int = 40, images: int = 400, references: int = 8) -> None:
    """Measures what a classifier gives away about its training data, at several strengths."""
    import keras

    from l2zoo.studies.privacy import audit_strengths, members_and_others, plot_strengths, table_of_strengths

    data = load(DATA, "train")

    def build(l2: float) -> Any:
        model = l2zoo.build("cnn_plain", data.image_shape, data.num_classes, l2=l2)
        adam = keras.optimizers.Adam(2e-3)
        model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    # By chance, so that the two sets differ in nothing but in what the model has seen.
    members, others = members_and_others(data, images)
    reports = {}
    for l2, report in audit_strengths(
        build, members, others, strengths=STRENGTHS, epochs=epochs, references=references, directory=out
    ):
        reports[l2] = report
        show(f"l2={l2:g}: {report}\n")
    show(table_of_strengths(reports), f"\nPicture: {plot_strengths(reports, out / 'strengths.png')}")


if __name__ == "__main__":
    run_script(main)
