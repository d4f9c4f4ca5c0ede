"""`publish`: an artifact put among the saved models, and their table written anew."""

from __future__ import annotations

import shutil
from pathlib import Path

from l2zoo.artifacts import manifest
from l2zoo.artifacts.store.table import saved_models_table
from l2zoo.artifacts.verify import verify
from l2zoo.utils.storage.files import replacing
from l2zoo.utils.storage.folders import whole_folder

README = "README.md"
_TITLE = """# Saved models

Trained and exported by `l2zoo train`, but for ImageNet's weights, which others trained; the
command that made each stands in its card. Each file was compared with the Keras model before it got its name,
and `l2zoo verify saved_models/NAME` does it again.
Take one by name, `l2zoo.Predictor("NAME")` or `l2zoo.load("NAME")`, or its weights for a builder, by what
follows the underscore: `build_cnn((8, 8, 1), num_classes=10, weights="digits")`.

On the test set: mean ± standard error over the seeds, of Keras models. What stands beside a file is its own
figure, that of the one model which is kept here, on as many images of the test set as it says. A format that
is not here is written by `l2zoo export NAME -o DIR --data DATA -f FORMAT`, unless the card says why not.

"""


def publish(artifact: str | Path, folder: str | Path, *, name: str) -> Path:
    """Copies an artifact that still holds into a folder of artifacts, and writes the folder's table.

    Who publishes an artifact vouches for it: all its files are run, the SavedModel too.

    Args:
        artifact: The artifact's folder.
        folder: The folder of artifacts, made if missing.
        name: What it is called there; one that is there already is replaced.

    Returns:
        The new folder.

    Raises:
        FileNotFoundError: There is no such artifact.
        ValueError: It does not hold, or `name` is no name of a folder.
    """
    if name in ("", "..") or Path(name).name != name:
        raise ValueError(f"`name` must be the name of a folder, got name={name!r}.")
    verified = verify(artifact, trusted=True).manifest
    folder = Path(folder)
    with whole_folder(folder / name, overwrite=True, mark=manifest.FILE) as (fresh, _):
        shutil.copytree(artifact, fresh, dirs_exist_ok=True)
        if manifest.read_and_check(fresh) != verified:
            raise ValueError(f"The artifact in {str(artifact)!r} was replaced meanwhile: publish it again.")
    with replacing(folder / README) as temporary:
        temporary.write_text(readme(folder), encoding="utf-8")
    return folder / name


def readme(folder: Path) -> str:
    """What `README.md` of a folder of artifacts says."""
    return f"{_TITLE}{saved_models_table(folder).markdown()}\n"
