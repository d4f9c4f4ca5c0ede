"""Experiments: a model trained with several seeds, judged on a test set, drawn and exported."""

from l2zoo.studies.experiment.experiment import experiment, train_model
from l2zoo.studies.experiment.figures import mean_and_error, table_of
from l2zoo.studies.experiment.result import Outcome
from l2zoo.studies.experiment.search import Search
from l2zoo.studies.experiment.settings import Task, Training

__all__ = ["Outcome", "Search", "Task", "Training", "experiment", "mean_and_error", "table_of", "train_model"]
