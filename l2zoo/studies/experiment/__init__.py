"""Experiments: a model trained with several seeds, judged on a test set, drawn and exported."""

from l2zoo.stats.summary import mean_and_error
from l2zoo.studies.experiment.artifact import data_in_words
from l2zoo.studies.experiment.experiment import experiment, train_model
from l2zoo.studies.experiment.result import Outcome, metrics_table
from l2zoo.studies.experiment.search import Search
from l2zoo.studies.experiment.settings import Task, Training

__all__ = [
    "Outcome",
    "Search",
    "Task",
    "Training",
    "data_in_words",
    "experiment",
    "mean_and_error",
    "metrics_table",
    "train_model",
]
