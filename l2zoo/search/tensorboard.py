"""The records of a search for TensorBoard: a run a training, with the HParams tab filled in.

Look at them with `tensorboard --logdir FOLDER`. Curves are named as Keras's own callback names them,
`epoch_val_accuracy`; the score stands under the metric's name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from l2zoo.engine.record import Record, Unit, Value
from l2zoo.utils.storage.folders import whole_folder

if TYPE_CHECKING:
    from tensorboard.plugins.hparams import api

STRENGTH = "l2"
MEASURES = ("epochs", "penalty", "weight_norm")
_MARK = "written-by-l2zoo"  # a folder with this file is ours to replace
_MOST = 20  # more values than this are shown as an interval


def write(records: Iterable[Record], *, folder: str | Path, metric: str) -> Path:
    """Writes a run per training, and one description of the whole search.

    Hyperparameters are the strength (`l2`), fold, seed and all others; metrics are the score (under the
    metric's name), epochs, penalty and the norm of the penalised weights. TensorBoard keeps scalars in single
    precision.

    Args:
        records: Those of a search, in any order.
        folder: Where to. What an earlier call wrote there is replaced, in one step at the end.
        metric: Name of the score.

    Returns:
        The folder.

    Raises:
        ValueError: The folder holds something that was not written here.
    """
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    folder = Path(folder)
    rows = sorted(records, key=lambda record: repr(record.unit))
    rows.sort(key=lambda record: record.unit.strength)
    _check_free(folder)
    columns = _columns([_hyperparameters(record.unit) for record in rows])
    with whole_folder(folder, overwrite=True, mark=_MARK) as (fresh, _):
        (fresh / _MARK).touch()
        with tf.summary.create_file_writer(str(fresh)).as_default():
            api.hparams_config(columns, [api.Metric(name) for name in (metric, *MEASURES)])
        for number, record in enumerate(rows):
            _run(record, fresh / _name(number, record.unit), metric=metric)
    return folder


def _run(record: Record, folder: Path, *, metric: str) -> None:
    """Writes one training: hyperparameters, curves, measures, and how it ended."""
    import tensorflow as tf
    from tensorboard.plugins.hparams import api, api_pb2, summary

    ended = api_pb2.STATUS_SUCCESS if record.status == "done" else api_pb2.STATUS_FAILURE
    with tf.summary.create_file_writer(str(folder)).as_default():
        api.hparams(_hyperparameters(record.unit), trial_id=folder.name)
        for epoch in range(max(map(len, record.curves.values()), default=0)):
            there = {f"epoch_{name}": row[epoch] for name, row in record.curves.items() if epoch < len(row)}
            _scalars(there, step=epoch)
        measures = {metric: record.score, **{name: getattr(record, name) for name in MEASURES}}
        _scalars({name: x for name, x in measures.items() if x is not None}, step=record.epochs)
        end = summary.session_end_pb(ended)
        tf.summary.experimental.write_raw_pb(end.SerializeToString(), step=record.epochs)


def _scalars(values: dict[str, float], *, step: int) -> None:
    """Writes scalars of one step at once: `tf.summary.scalar` would take as long for each of them."""
    import tensorflow as tf
    from tensorboard.compat.proto import summary_pb2
    from tensorboard.plugins.scalar.summary import scalar_pb

    together = summary_pb2.Summary()
    for name, value in values.items():
        together.MergeFrom(scalar_pb(name, value))
    tf.summary.experimental.write_raw_pb(together.SerializeToString(), step=step)


def _hyperparameters(unit: Unit) -> dict[str, Value]:
    return {STRENGTH: unit.strength, **dict(unit.others), "fold": unit.fold, "seed": unit.seed}


def _columns(rows: Sequence[dict[str, Value]]) -> list[api.HParam]:
    from tensorboard.plugins.hparams import api

    names = dict.fromkeys(name for row in rows for name in row)
    return [api.HParam(name, _domain([row[name] for row in rows if name in row])) for name in names]


def _domain(values: Sequence[Value]) -> api.Domain | None:
    """All values of a hyperparameter, as the tab wants them: of one kind, or None."""
    from tensorboard.plugins.hparams import api

    for kind in (bool, str):
        if all(isinstance(value, kind) for value in values):
            return api.Discrete(sorted(set(values)), dtype=kind)
    if any(isinstance(value, bool | str) for value in values):
        return None
    numbers = sorted({float(value) for value in values})
    if len(numbers) > _MOST and all(map(math.isfinite, numbers)):
        return api.RealInterval(numbers[0], numbers[-1])
    return api.Discrete(numbers, dtype=float)


def _name(number: int, unit: Unit) -> str:
    """A name for the folder of a run: different for every unit, readable, fit for every file system."""
    pairs = [f"{name}={value}" for name, value in _hyperparameters(unit).items()]
    rung = [] if unit.end is None else [f"until={unit.end}"]
    return re.sub(r"[^\w.=+-]+", "_", "-".join([f"{number:04d}", *pairs, *rung]))[:120]


def _check_free(folder: Path) -> None:
    if folder.exists() and not (folder / _MARK).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise ValueError(
            f"`folder` holds what was not written here and is not replaced, got folder={str(folder)!r}. "
            "Choose a folder of its own."
        )
