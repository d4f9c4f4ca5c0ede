"""The pictures of the explanations, by the library's own plots: `python docs/images/draw.py`.

Two searches on 300 digits of which 20 % are labelled wrongly, without batch norm and with it (7 strengths, 5
folds, 40 epochs), and two trainings that `L2Monitor` looks at. On two quiet cores that takes two minutes.
"""

from __future__ import annotations

from pathlib import Path

import l2zoo
from l2zoo.data import load

HERE = Path(__file__).parent
STRENGTHS = (0.0, 1e-4, 1e-3, 3.16e-3, 1e-2, 3.16e-2, 0.1)


def main() -> None:
    """Draws them all."""
    digits = load("l2zoo_digits", "train", limit=300, label_noise=0.2)
    for name in ("cnn_plain", "cnn"):

        def build(l2, name=name):
            return l2zoo.build(name, digits.image_shape, digits.num_classes, l2=l2)

        found = l2zoo.tune_l2(build, digits, strengths=STRENGTHS, folds=5, epochs=40, verbose=False)
        print(name, found, found.table(), sep="\n")
        found.plot(HERE / f"strengths_{name}.png")
        if name == "cnn_plain":
            found.plot(HERE / "learning_curves.png", kind="learning")
    images, labels = digits.arrays()
    for l2 in (0.0, 1e-2):
        monitor = l2zoo.L2Monitor(images[:64], labels[:64], every=2)
        l2zoo.fit(build(l2), digits, epochs=40, callbacks=[monitor], verbose=0)
        monitor.plot(HERE / f"effective_rate_{l2:g}.png", value="effective_rate")


if __name__ == "__main__":
    main()
