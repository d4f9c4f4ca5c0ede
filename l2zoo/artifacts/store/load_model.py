"""`model.keras` of an artifact: the model as Keras itself wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from l2zoo.artifacts.store import archive

if TYPE_CHECKING:
    import keras

FILE = "model.keras"


def loaded(path: Path, *, compiled: bool) -> keras.Model:
    """The model in a file, without running any code from the file.

    Args:
        path: A `.keras` file.
        compiled: Whether loss, metrics and optimizer are made again as they were saved.

    Raises:
        ValueError: A class of the model is not registered with Keras, or the file is not a Keras model.
    """
    archive.check(path)
    import keras

    try:
        return keras.saving.load_model(path, compile=compiled, safe_mode=True)
    except Exception as error:  # Keras raises what the failing layer raised
        reason = str(error).rpartition("Exception encountered: ")[2]  # before it stands the whole config
        raise ValueError(
            f"{path.name} cannot be loaded: {reason[:200]} [...] Register the classes of your own with "
            "@keras.saving.register_keras_serializable, and use layers in the place of Lambda."
        ) from error
