"""What the card of an experiment's artifact says."""

from __future__ import annotations

import keras

from l2zoo.artifact import Card
from l2zoo.experiments.settings import Data, Task, Training

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
    data = f"Trained on {train.name} {train.split}, measured on {test.split}."
    data += f" License: {train.license or 'the data set states none'}."
    return Card(
        name=model.name,
        about=f"{about}\n\n{note}" if note else about,
        data=data,
        task=task.name,
        class_names=names or None,
    )
