"""Comparisons of named settings on the same data and seeds: L2 or L1, Adam or SGD; `compare` is the door."""

from l2zoo.studies.compare.variants import Variant, usual_variants

__all__ = ["Variant", "usual_variants"]
