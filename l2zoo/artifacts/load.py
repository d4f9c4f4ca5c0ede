"""`load`: the Keras model of an artifact, to look into, to go on training, to build on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from l2zoo.artifacts import manifest, probe, trained_on, trust
from l2zoo.artifacts.formats import keras_file
from l2zoo.artifacts.formats.table import formats_of
from l2zoo.artifacts.store import locations
from l2zoo.utils.arguments import suggest_arguments

if TYPE_CHECKING:
    import keras


@suggest_arguments
@locations.reads_whole
def load(
    name_or_folder: str | Path, *, trusted: bool = False, public_key: str | Path | None = None
) -> keras.Model:
    """Loads the Keras model of an artifact, after every file of the artifact was found unchanged.

    Nothing is unpickled and no code from the file is run: Keras loads in its safe mode, and what the file
    would unpack to is looked at first. The SavedModel, which is a program, is not opened. Classes of your own
    must have been registered (`keras.saving.register_keras_serializable`); those of l2zoo are.

    A stranger's file is loaded in a process of its own first, with bounds on memory and time, while Keras is
    imported here: one that ends Keras, fills the memory or never returns costs an error. A stranger's is what
    was neither exported by this process nor came with l2zoo nor is signed or trusted.

    Args:
        name_or_folder: An artifact's folder, as `export` wrote it, or the name of one of the saved models.
        trusted: Whether you vouch for it: it is opened here at once.
        public_key: A PEM file with the public key of whom you trust, by which it must be signed.

    Returns:
        The model, compiled if it was when it was exported. It takes raw pixels in [0, 255]. Exported again,
        it knows its classes and data.

    Raises:
        TypeError: `name_or_folder` is neither a name nor a path.
        FileNotFoundError: There is no such artifact.
        ValueError: It is damaged, signed by somebody else or without a Keras model, or Keras cannot load it
            safely.

    Example:
        >>> load("no/such/folder")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        FileNotFoundError: `name_or_folder` must be an artifact's folder or one of the saved models, got ...
    """
    folder = locations.find(name_or_folder)
    with trust.open_whole(folder, trusted=trusted, public_key=public_key) as whole:
        rows = formats_of(whole.content)
        if "keras" not in rows:
            raise ValueError(
                f"The artifact in {str(folder)!r} has no {keras_file.FILE}, {manifest.FILE} lists "
                f"{list(rows)}. `l2zoo.export` always writes one: export the model again, or run what is "
                "there with `l2zoo.Predictor`."
            )
        model = probe.load_keras(whole, compiled=True)
        trained_on.remember(model, whole.content)
    return model
