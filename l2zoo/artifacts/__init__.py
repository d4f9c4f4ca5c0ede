"""Artifacts: a trained model as a folder whose every file was run and compared before it was called done.

Nothing heavy is imported here, so that `verify` can refuse a damaged folder before TensorFlow is loaded.
"""

from l2zoo.artifacts.card import Card
from l2zoo.artifacts.export import export
from l2zoo.artifacts.formats.conversion import Conversion
from l2zoo.artifacts.load import load
from l2zoo.artifacts.parity.limits import Limits
from l2zoo.artifacts.parity.parity import Parity
from l2zoo.artifacts.store.publish import publish
from l2zoo.artifacts.verify import Artifact, verify

__all__ = ["Artifact", "Card", "Conversion", "Limits", "Parity", "export", "load", "publish", "verify"]
