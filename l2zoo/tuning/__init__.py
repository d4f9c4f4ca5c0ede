"""The search for the strength of L2: which lambda, and whether L2 helps at all."""

from l2zoo.tuning.result import SearchResult
from l2zoo.tuning.search import tune_l2

__all__ = ["SearchResult", "tune_l2"]
