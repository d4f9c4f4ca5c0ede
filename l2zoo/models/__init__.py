"""The architectures, one a file, in pure Keras: each runs on every Keras backend.

They share only what `blocks` holds, and end in the same line: `L2Policy.of(l2).apply(model)`.
"""
