"""Artifacts: a trained model as a folder whose every file was run and compared before it was called done.

Nothing heavy is imported here, so that `verify` can refuse a damaged folder before TensorFlow is loaded.
"""

from l2zoo.artifact.card import Card
from l2zoo.artifact.conversion import Conversion
from l2zoo.artifact.folder import Artifact
from l2zoo.artifact.limits import Limits
from l2zoo.artifact.loading import load
from l2zoo.artifact.parity import Parity
from l2zoo.artifact.shelving import shelve
from l2zoo.artifact.verification import verify
from l2zoo.artifact.writer import export

__all__ = ["Artifact", "Card", "Conversion", "Limits", "Parity", "export", "load", "shelve", "verify"]
