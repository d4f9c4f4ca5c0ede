"""What the card of an experiment's artifact says."""

from __future__ import annotations

import keras

from l2zoo.artifacts import Card
from l2zoo.studies.experiment.settings import Data, Task, Training

# What no figure of the test set shows.
_LIMITS = {
    "classification": "Any image gets one of the classes, also one that shows none of them, and nobody has "
    "checked how far its probabilities can be believed.",
    "segmentation": "Any pixel gets one of the classes, also where there is something else.",
    "detection": "What is much smaller or larger than in the training images, or more crowded, it may miss.",
    "generation": "It draws what its training images show, in their size, and at times nearly one of them.",
    "video": "What it says of far frames is vague: it was trained on the next one alone.",
}
_WHAT = {"generation": "Generation of images", "video": "Prediction of the frames that follow"}


def card(
    model: keras.Model,
    task: Task,
    train: Data,
    test: Data,
    *,
    training: Training,
    l2: float,
    seeds: int,
    note: str,
) -> Card:
    """What the artifact's card says of the model and its data, without the picture."""
    names = list(task.class_names)
    of = f" of {len(names)} classes: {', '.join(names[:50])}" if names else ""
    how = [
        f"{training.epochs} epochs in batches of {training.batch_size}",
        f"{training.optimizer} with a learning rate of {training.learning_rate:g} ({training.schedule})",
        f"augmentation: {training.augment}",
        f"L2 of {l2:g} in Keras's convention{', decoupled' if training.optimizer == 'adamw' else ''}",
    ]
    how += [f"the average of the weights (momentum {training.average:g})"] if training.average else []
    how += ["mixed precision"] if training.mixed_precision else []
    trained = f"Trained: {'; '.join(how)}. This is the model of seed 0, of {seeds}."
    about = f"{_WHAT.get(task.name, task.name.capitalize())}{of}.\n\n{trained}"
    limits = (
        f"Limits: {_LIMITS[task.name]} It was measured on the test set of its own data alone: images from "
        "elsewhere, by other cameras or other hands, are likely to cost more than the figures below show."
    )
    data = f"Trained on {train.name} {train.split}, measured on {test.split}."
    data += f" License: {train.license or 'the data set states none'}."
    return Card(
        name=f"{model.name}, {train.name}",
        about="\n\n".join(part for part in (about, note, limits) if part),
        data=data,
        task=task.name,
        class_names=names or None,
    )
