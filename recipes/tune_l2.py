"""Which L2 does a classifier need on given data, and does it need any? In your own script.

    python recipes/tune_l2.py --out runs/tune_l2

Chooses lambda by cross-validation on the training split, trains the chosen model on all of it, tests it once
on the test split, and exports it to files that are compared with the model. `l2zoo tune` does the same with
options; here `build` is yours: any Keras model that takes its penalty from `l2`. Stopped in the middle, the
same command goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import l2zoo
from l2zoo.data import load_train_test
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script

DATA = "l2zoo_digits"  # or a TFDS name, "folder:photos", or arrays (x, y)
STRENGTHS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def main(out: Path = Path("runs/tune_l2"), epochs: int = 20, limit: int | None = None) -> None:
    """Chooses the strength of L2, and exports the chosen model, checked."""
    import keras

    train, test = load_train_test(DATA, limit=limit)

    def build(l2: float) -> Any:
        model = l2zoo.build_cnn(train.image_shape, num_classes=train.num_classes, batch_norm=False, l2=l2)
        adam = keras.optimizers.Adam(2e-3)
        model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    result = l2zoo.tune_l2(build, train, strengths=STRENGTHS, folds=5, epochs=epochs, directory=out)
    images, labels = test.arrays()
    accuracy = result.model.evaluate(images, labels, verbose=0, return_dict=True)["accuracy"]
    artifact = l2zoo.export(
        result.model,
        out / "artifact",
        sample=images,
        metrics={"test_accuracy": accuracy},
        card=l2zoo.Card(class_names=train.class_names, picture=result.plot(out / "lambda.png")),
        overwrite=True,
    )
    show(result, f"Test accuracy {accuracy:.4f}", l2zoo.audit(result.model).summary, artifact)


if __name__ == "__main__":
    run_script(main)
