"""A small convolutional classifier for small images, from 8x8 pixels up."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from l2zoo.models import blocks
from l2zoo.models.pretrained import load_weights
from l2zoo.regularization.policy import L2Policy
from l2zoo.regularization.strength import Strength
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.validation import whole_numbers

SMALLEST = 8  # pixels: two halvings leave 2x2, the least that a 3x3 kernel can still look around in


@suggest_arguments
def build_cnn(
    input_shape: Sequence[int],
    *,
    num_classes: int,
    filters: Sequence[int] = (16, 32, 64),
    dropout: float = 0.25,
    batch_norm: bool = True,
    weights: str | None = None,
    l2: float | Strength | L2Policy | None = None,
    name: str = "cnn",
) -> keras.Model:
    """Builds a small CNN: stages of 3x3 convolutions with batch norm and ReLU, halved in between.

    The first stage is one convolution, every further stage two; the last convolution of each stage but the
    final one is max pooled to half the side. Then global average pooling, dropout, one dense layer, softmax.
    The weights do not depend on the height and width: with the default filters there are 70,330 trainable
    parameters for grey images of 10 classes.

    Args:
        input_shape: `(H, W, C)`, without the batch, at least 8x8. The model takes raw pixels in [0, 255],
            `uint8` or float.
        num_classes: Number of classes `K`, at least 2.
        filters: Channels of each stage, one entry a stage.
        dropout: Share of the pooled features put to zero while training, in [0, 1).
        batch_norm: Whether each convolution is normalised. It trains faster with it; without it L2 does what
            textbooks say, because no norm undoes the shrinking of the kernels (van Laarhoven 2017, L2
            Regularization versus Batch and Weight Normalization).
        weights: Trained weights to begin with: the name of a saved model of this architecture, such as
            `"digits"` or `"mnist"`, or an artifact's folder. `None` for random ones.
        l2: A strength in Keras's convention, a policy, or `None` for no penalty.
        name: The model's name.

    Returns:
        A model, not compiled, from pixels `(B, H, W, C)` to probabilities `(B, K)` in float32. Its layers are
        named `stage1_conv1`, `stage1_conv1_bn`, `stage2_conv1`, ..., `logits`, `probabilities`.

    Raises:
        FileNotFoundError: There are no such `weights`.
        TypeError: An argument is of the wrong type.
        ValueError: `input_shape` is too small or not of three entries, `num_classes` is below 2, `filters`
            is empty or holds an entry below 1, or `dropout` is outside [0, 1).

    References:
        Lin et al. 2013, Network in Network (global average pooling in the place of large dense layers);
        Simonyan and Zisserman 2014, Very Deep Convolutional Networks (stages of 3x3 convolutions).

    Example:
        >>> model = build_cnn((28, 28, 1), num_classes=10, l2=1e-4)
        >>> model.output_shape
        (None, 10)
    """
    widths = whole_numbers("filters", filters, at_least=1)
    inputs, x = blocks.pixels(input_shape, smallest=SMALLEST)
    for stage, width in enumerate(widths, start=1):
        convolutions = 1 if stage == 1 else 2
        for conv in range(1, convolutions + 1):
            halves = conv == convolutions and stage < len(widths)
            layer = f"stage{stage}_conv{conv}"
            x = blocks.conv(x, width, pool=2 if halves else 1, batch_norm=batch_norm, name=layer)
    outputs = blocks.classify(x, num_classes, dropout=dropout)
    model = load_weights(
        keras.Model(inputs, outputs, name=name), weights, architecture="cnn" if batch_norm else "cnn_plain"
    )
    return L2Policy.of(l2).apply(model)
