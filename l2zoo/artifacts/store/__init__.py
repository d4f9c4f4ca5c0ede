"""Artifacts as they lie on a disk: where they are, whether they are whole, and the Keras model in them.

Nothing here writes or runs one; that is for `l2zoo.artifacts` and `l2zoo.inference`.
"""
