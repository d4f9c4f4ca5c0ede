"""Keras's own `fit`, for runs that are kept: data loss and penalty apart, a folder, resuming after a kill."""

from l2zoo.training.fit import fit

__all__ = ["fit"]
