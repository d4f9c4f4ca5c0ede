"""Experiments: a model trained with several seeds, judged on a test set, drawn and exported."""

from l2zoo.experiments.figures import mean_and_error, table_of
from l2zoo.experiments.outcome import Outcome
from l2zoo.experiments.running import experiment, trained
from l2zoo.experiments.searching import Search
from l2zoo.experiments.settings import Task, Training

__all__ = ["Outcome", "Search", "Task", "Training", "experiment", "mean_and_error", "table_of", "trained"]
