"""Layers for clips: the same for every frame, or with a memory from frame to frame.

In a file of their own because they are registered with Keras as soon as it is imported, before the policy,
which the architectures need, has been.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("l2zoo")
class EachFrame(keras.layers.TimeDistributed):
    """A layer for frames `(B, H, W, C)`, applied to each frame of clips `(B, T, H, W, C)`, all at once.

    Keras's own `TimeDistributed` applies it to one frame after the other, for which the CPU needs longer.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        del training, mask
        shape = ops.shape(inputs)
        frames = self.layer.call(ops.reshape(inputs, (-1, *shape[2:])))
        return ops.reshape(frames, (*shape[:2], *ops.shape(frames)[1:]))


@keras.saving.register_keras_serializable("l2zoo")
class Memory(keras.layers.ConvLSTM2D):
    """Keras's ConvLSTM, whose weights have the same paths in every process: its cell is called "cell"."""

    def __init__(self, filters: int, kernel_size: int, **settings: Any):
        super().__init__(filters, kernel_size, **settings)
        self.cell.name = "cell"
