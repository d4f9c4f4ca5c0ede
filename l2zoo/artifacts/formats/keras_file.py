"""`model.keras`: the model as Keras itself writes it, to train on or to inspect.

No code from such a file is run, and as it is a zip, what it says of itself is looked at before anything is
unpacked.
"""

from __future__ import annotations

import io
import math
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.artifacts.formats.conversion import Source
from l2zoo.artifacts.inputs import Inputs, Outputs, Predict, as_model_input, input_signature
from l2zoo.utils.storage.reading import parse_json

if TYPE_CHECKING:
    import keras

FILE = "model.keras"
LARGEST = 64 * 2**30  # bytes that may come out of one file
RATIO = 100  # Keras stores without compressing; weights that are compressed shrink by half at most
LARGE = 1024  # numbers from which on it is worth storing a weight in fewer bytes
UNSUSPECTED = 16 * 2**20  # bytes that may come out whatever went in
HOW_TO_REGISTER = "Register the classes of your own with @keras.saving.register_keras_serializable"
UNKNOWN_CLASS = "Could not locate class"  # as Keras says it of a class that nobody has registered
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_HDF5_ENDING, _NUMPYS_ENDING = ".h5", ".npz"  # the latter Keras writes where it lacks h5py, which it needs
_MEMBERS = {"metadata.json", _CONFIG}
_OPTIMIZER = "optimizer"  # where the weights file keeps what only training needs
_HDF5 = b"\x89HDF\r\n\x1a\n"  # how every such file begins
_ENCRYPTED = 1  # bit of a zip entry's flags


def write(source: Source, path: Path) -> None:
    """Saves the model, with its optimizer's state if it is compiled, so that training can go on.

    Large weights that are the same numbers in float16, as weights are that were published so, take half the
    bytes; Keras gives them back in the type of the model.
    """
    source.model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {entry: archive.read(entry) for entry in archive.infolist()}
    (weights,) = (entry for entry in members if entry.filename == _WEIGHTS)
    halved = _halve(members[weights])
    if halved is None:
        return
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in members.items():
            archive.writestr(entry, halved if entry is weights else content)


def _halve(content: bytes) -> bytes | None:
    """A weights file with its large arrays in float16, where that holds their numbers; None if nowhere."""
    import h5py

    result, fit = io.BytesIO(), False
    with h5py.File(io.BytesIO(content)) as old, h5py.File(result, "w") as new:
        new.attrs.update(old.attrs)

        def copy(name: str, one: Any) -> None:
            nonlocal fit
            if isinstance(one, h5py.Group):
                twin = new.require_group(name)
            else:
                fits = not _is_optimizers(name) and _fits_float16(one)
                twin = new.create_dataset(name, data=one[()], dtype="float16" if fits else one.dtype)
                fit |= fits
            twin.attrs.update(one.attrs)

        old.visititems(copy)
    return result.getvalue() if fit else None


def _fits_float16(stored: Any) -> bool:
    if stored.dtype != "float32" or stored.size < LARGE:
        return False
    values = stored[()]
    with np.errstate(over="ignore"):
        return np.array_equal(values.astype("float16"), values)


def open_file(path: Path) -> tuple[Predict, dict[str, Any]]:
    """Loads the model, without compiling it, to be run, and reads what is inside.

    Raises:
        ValueError: The model cannot be loaded.
    """
    model = load_model(path, compiled=False)

    def predict(inputs: Inputs) -> Outputs:
        return by_name(model.predict_on_batch(as_model_input(model, inputs)))

    return predict, {"parameters": model.count_params(), **contents(path)}


def answers(model: keras.Model, inputs: Inputs) -> Predict:
    """The model's own answers in inference, the truth that files are compared with.

    The graph is traced here, outside the model, so that the model's own `predict` stays as it was; nor does
    it go through XLA, which on the CPU costs more than it saves.

    Args:
        model: A built model.
        inputs: Real inputs, for their names, shapes and types.
    """
    import tensorflow as tf

    signature = {name: tf.TensorSpec(*spec) for name, spec in input_signature(inputs).items()}
    traced = tf.function(
        lambda feed: model(as_model_input(model, feed), training=False),
        input_signature=[signature],
        autograph=False,
    )
    return lambda feed: by_name(traced(feed))


def by_name(outputs: Any) -> Outputs:
    """Outputs by name: those of a dict as they are, others `output_0`, `output_1`, as Keras exports them.

    Example:
        >>> list(by_name([np.zeros(3), np.zeros(3)]))
        ['output_0', 'output_1']
    """
    if not isinstance(outputs, dict):
        many = isinstance(outputs, list | tuple)
        outputs = {f"output_{index}": one for index, one in enumerate(outputs if many else [outputs])}
    return {name: np.asarray(value) for name, value in outputs.items()}


def load_model(path: Path, *, compiled: bool) -> keras.Model:
    """The model in a file, without running any code from the file.

    Args:
        path: A `.keras` file.
        compiled: Whether loss, metrics and optimizer are made again as they were saved.

    Raises:
        ValueError: A class of the model is not registered with Keras, or the file is not a Keras model.
    """
    if _is_hdf5(path):
        raise ValueError(
            f"{path.name} is an HDF5 file, Keras's old format, but a .keras file is wanted. Write one: "
            f"keras.saving.load_model({path.name!r}).save({path.stem + '.keras'!r}), after `import l2zoo`."
        )
    check_archive(path)
    import keras

    try:
        return keras.saving.load_model(path, compile=compiled, safe_mode=True)
    except Exception as error:  # Keras raises what the failing layer raised
        reason = str(error).rpartition("Exception encountered: ")[2]  # before it stands the whole config
        raise ValueError(
            f"{path.name} cannot be loaded: {reason[:200]} [...] {HOW_TO_REGISTER}, and use layers in the "
            "place of Lambda."
        ) from error


def _is_hdf5(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_HDF5)) == _HDF5


def check_archive(path: Path) -> None:
    """Compares what a Keras file would unpack to with its size, and looks at the names in it.

    Arrays in it may be compressed once more, in HDF5, whose own tables say how large they are: they count as
    what they unpack to. Nothing is unpacked for that but the weights file out of the zip.

    Raises:
        ValueError: It is no Keras file, it would unpack to far more than it holds, or a name in it leads
            elsewhere.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise ValueError(f"{path.name} cannot be loaded: it is no Keras file ({error}).") from error
    names = [entry.filename for entry in entries]
    missing = sorted(_MEMBERS - set(names))
    if missing or len(set(names)) != len(names):
        raise ValueError(f"{path.name} cannot be loaded: it is no Keras file, it holds {names[:5]}.")
    astray = [name for name in names if _leads_elsewhere(name) or name.endswith(_NUMPYS_ENDING)]
    if astray or any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise ValueError(f"{path.name} cannot be loaded: Keras writes no such names as {astray[:3]}.")
    _check_size(path, sum(entry.file_size for entry in entries))
    arrays = [name for name in names if name.endswith(_HDF5_ENDING)]
    others = sum(entry.file_size for entry in entries if entry.filename not in arrays)
    _check_size(path, others + sum(_size_of_arrays(path, name) for name in arrays))


def _check_size(path: Path, unpacked: int) -> None:
    packed = path.stat().st_size
    if unpacked > LARGEST or unpacked > max(UNSUSPECTED, RATIO * packed):
        raise ValueError(
            f"{path.name} cannot be loaded: its {packed:,} bytes would unpack to {unpacked:,}, which no "
            "model does. Do not use this file."
        )


def _size_of_arrays(path: Path, member: str) -> int:
    """The bytes that the arrays of an HDF5 file in the zip would take in memory, none of which is read.

    Raises:
        ValueError: It is no such file, or has arrays or links that lie in other files.
    """
    import h5py

    total = 0

    def add(name: str, one: h5py.Group | h5py.Dataset) -> None:
        nonlocal total
        if isinstance(one, h5py.Dataset):
            if one.is_virtual or one.external:
                raise ValueError(f"{name!r} lies in another file")
            pieces = (one.shape or (), one.chunks or ())  # a piece is unpacked whole, be it for one number
            total += max(math.prod(map(int, piece)) for piece in pieces) * one.dtype.itemsize
        elif any(not isinstance(one.get(key, getlink=True), h5py.HardLink) for key in one):
            raise ValueError(f"{name!r} has links, as Keras writes none")

    try:
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(member) as packed,
            tempfile.TemporaryFile() as file,
        ):
            shutil.copyfileobj(packed, file)
            with h5py.File(file, "r") as weights:
                add("/", weights)
                weights.visititems(add)  # which comes by each once, from wherever it is named
    except Exception as error:  # h5py's are of many kinds
        raise ValueError(
            f"{path.name} cannot be loaded: {member} is no file of weights ({error})."
        ) from error
    return total


def _leads_elsewhere(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name


def contents(path: Path) -> dict[str, Any]:
    """Counts the arrays in a Keras file by type, and names the classes that others than Keras registered.

    Args:
        path: The file. It must come from a trusted place or have passed its checksum.

    Returns:
        `weights` by dtype (the state of random generators among them); `optimizer` likewise, if the model is
        compiled; and `classes` as they are registered, `"l2zoo>FinalBoxes"`.
    """
    with zipfile.ZipFile(path) as archive:
        config = parse_json(archive.read(_CONFIG), where=_CONFIG, finite=False)
        arrays = list(_arrays(archive.read(_WEIGHTS)))
    kept = Counter(dtype for name, dtype in arrays if not _is_optimizers(name))
    training = Counter(dtype for name, dtype in arrays if _is_optimizers(name))
    return {
        "weights": dict(sorted(kept.items())),
        **({"optimizer": dict(sorted(training.items()))} if training else {}),
        "classes": sorted(set(_registered_names(config))),
    }


def _arrays(content: bytes) -> Iterator[tuple[str, str]]:
    """Name and dtype of every array in a weights file."""
    import h5py

    found: list[tuple[str, Any]] = []
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(lambda name, one: found.append((name, one)))  # which goes on for None
        for name, one in found:
            if isinstance(one, h5py.Dataset):
                yield name, str(one.attrs.get("dtype", one.dtype.name))  # bfloat16 stands in an attribute


def _is_optimizers(name: str) -> bool:
    return name.split("/")[0] == _OPTIMIZER


def _registered_names(config: Any) -> Iterator[str]:
    """Names of the form `package>class` in a configuration, of layers, losses, metrics and optimizers."""
    if isinstance(config, dict):
        name = config.get("registered_name")
        name = config.get("config") if name == "function" else name
        if isinstance(name, str) and ">" in name and not name.startswith("keras>"):
            yield name
    values = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    for value in values:
        yield from _registered_names(value)
