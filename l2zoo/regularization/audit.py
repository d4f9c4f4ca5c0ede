"""What a model really penalises, read from the model itself and never from a policy."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import ops

from l2zoo.regularization.saved_penalty import after_reload
from l2zoo.regularization.scale_invariance import scale_free_kernels
from l2zoo.regularization.step_audit import COLUMNS, StepPart, measure_step, step_cells, step_problems
from l2zoo.regularization.weight_decay import decays
from l2zoo.regularization.weights import FREE_ROLES, Weight, coefficients, weights_of
from l2zoo.reports.page import Section
from l2zoo.reports.printed import Printed
from l2zoo.reports.table import Cell, Column, Row, Table, cell
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.console import printable
from l2zoo.utils.validation import first_names

_EXEMPT = (
    (("bias", "norm"), "bias or norm", "biases or norms"),
    (("token", "position", "scale"), "token, position or scale", "tokens, positions or scales"),
)
_NOTHING = (0.0, 0.0)


@dataclass(frozen=True)
class AuditRow:
    """One weight: what it is, and what it costs.

    Attributes:
        path: `variable.path`.
        role: `kernel`, `depthwise`, `recurrent`, `embedding`, `token`, `position`, `scale`, `bias` or `norm`.
        shape: Of the variable.
        parameters: Product of the shape.
        l1: Coefficient of `sum(|w|)`; `None` for a regularizer that is neither L1 nor L2.
        strength: Lambda, coefficient of `sum(w ** 2)`, in Keras's form; `None` likewise.
        penalty: What the weight adds to the loss now; 0 while it is frozen.
        share: Its part of the model's penalty, in [0, 1].
        frozen: Whether the weight does not train now.
        normalised: Whether it is a kernel whose size a normalisation behind it undoes.
        exempt: Whether a policy left it out, by its multipliers or overrides.
    """

    path: str
    role: str
    shape: tuple[int, ...]
    parameters: int
    l1: float | None
    strength: float | None
    penalty: float
    share: float
    frozen: bool
    normalised: bool = False
    exempt: bool = False


@dataclass(frozen=True)
class Audit(Printed):
    """The answer of `audit`: rows, totals and problems; `print` it, or let a notebook show it.

    Attributes:
        model: The model's name.
        rows: One for every weight that trains or can train.
        penalty: Sum of the rows' penalties: what the model adds to its data loss.
        problems: What is likely not meant, in words; empty if there is nothing to say.
        decay: What the optimizer's own weight decay does, in words; empty if it has none.
        step: What a step was measured to do to each weight that trains, by path; None if none was taken.
    """

    model: str
    rows: tuple[AuditRow, ...]
    penalty: float
    problems: tuple[str, ...]
    decay: str = ""
    step: Mapping[str, StepPart] | None = None

    @property
    def summary(self) -> str:
        """One line: `l2: 36 kernels at 5e-05, 17 depthwise at 0, 70 biases and norms free`.

        Where some do not train now, it ends in how many: `; 60 of 123 weights frozen`.
        """
        costly = [row for row in self.rows if row.role not in FREE_ROLES]
        groups = Counter((row.role, _coefficients(row)) for row in costly)
        parts = [f"{n} {_role_words(role, n)} {how}" for (role, how), n in groups.items()]
        bare = [row for row in self.rows if row.role in FREE_ROLES]
        free = [row for row in bare if not _has_penalty(row)]
        parts += [f"{_free_words(free)} free"] if free else []
        caught = [row for row in bare if _has_penalty(row)]
        parts += [f"{_free_words(caught)} penalised"] if caught else []
        asleep = sum(row.frozen for row in self.rows)
        frozen = f"{asleep} of {len(self.rows)} weights frozen" if asleep else ""
        words = ["l2: " + (", ".join(parts) or "no weights"), frozen, self.decay, self._step_words]
        return "; ".join(filter(None, words))

    @property
    def _step_words(self) -> str:
        """`a step trains 0 of 2 penalties`, if one was taken."""
        step = self.step or {}
        factors = [step[row.path].factor for row in self.rows if _has_penalty(row) and row.path in step]
        arrive = sum(factor != 0 for factor in factors)
        return f"a step trains {arrive} of {len(factors)} penalties" if factors else ""

    @property
    def note(self) -> str:
        """What ≈ means, and L2 for the kernels whose size a normalisation undoes; empty if there are none."""
        count = sum(row.normalised and bool(row.strength) for row in self.rows)
        if not count:
            there = any(row.normalised for row in self.rows)
            return "a normalisation undoes the size of these kernels; no L2 is on them" if there else ""
        kernels = "1 kernel" if count == 1 else f"{count} kernels"
        return (
            f"a normalisation undoes the size of {kernels}: L2 sets the learning rate there, lr / |w|**2 "
            "(van Laarhoven 2017)"
        )

    @property
    def parameters(self) -> int:
        """Parameters of all rows together."""
        return sum(row.parameters for row in self.rows)

    def table(self) -> Table:
        """A row for each weight, and the total."""
        extra = () if self.step is None else COLUMNS
        names = ("shape", "parameters", "l1", "lambda", "penalty", "share", *extra)
        total = (
            "total",
            "",
            "",
            f"{self.parameters:,}",
            "",
            "",
            f"{self.penalty:.4g}",
            "",
            *[""] * len(extra),
        )
        return Table(
            (
                Column("weight", number=False),
                Column("role", number=False),
                *(Column(name, optional=name in ("shape", "l1")) for name in names),
            ),
            (*(_cells(row, self.step) for row in self.rows), Row(tuple(map(Cell, total)), "total")),
            title=f"L2 audit of {self.model}",
        )

    def by_group(self) -> Table:
        """A row for the weights of each group of layers that have a role and a strength in common.

        Groups are told by names: `stage1` of `stage1_block1_conv1`, `block_1` of `block_1_expand`, the
        enclosing layers of what is nested.
        """
        groups: dict[tuple[str, str, str], list[AuditRow]] = {}
        for row in self.rows:
            costs = "other" if row.strength is None else _number(row.strength) if row.strength else "-"
            role = "bias, norm" if row.role in ("bias", "norm") else row.role
            groups.setdefault((_group(row.path), role, costs), []).append(row)
        rows = []
        for (group, role, strength), some in groups.items():
            sign = " ≈" if any(row.normalised for row in some) else ""
            penalty, count = sum(row.penalty for row in some), sum(row.parameters for row in some)
            share = cell(sum(row.share for row in some), "{:.1%}") if penalty else Cell("-")
            numbers = (cell(count, "{:,}"), Cell(strength), _or_dash(penalty), share)
            rows.append((group, f"{role}{sign}", cell(len(some)), *numbers))
        names = ("weights", "parameters", "lambda", "penalty", "share")
        return Table.of(["layers", "role", *map(Column, names)], rows, title=f"L2 audit of {self.model}")

    def section(self) -> Section:
        """The audit as a part of a report."""
        return Section(
            "What the model penalises",
            self.table(),
            hint=self.note,
            summary=self.summary,
            problems=self.problems,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        rows = [{**asdict(row), "shape": list(row.shape)} for row in self.rows]
        totals = {"parameters": self.parameters, "penalty": self.penalty}
        head = {"model": self.model, "summary": self.summary, **totals}
        words = {"problems": list(self.problems), "note": self.note, "decay": self.decay}
        step = {} if self.step is None else {"step": {path: asdict(part) for path, part in self.step.items()}}
        return {**head, **words, "rows": rows, **step}

    @property
    def lines(self) -> list[str]:
        """The summary, what ≈ means, and the problems, each with its sign."""
        notes = [f"≈ {self.note}"] if self.note else []
        lines = [self.summary, *notes, *(f"! {problem}" for problem in self.problems)]
        return list(map(printable, lines))

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        return Group(self.table(), *map(Text, self.lines))

    def __str__(self) -> str:
        return self._text(width=120)

    def _text(self, width: int) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=width)
        console.print(self)
        return printable(console.file.getvalue().rstrip("\n"), lines=True)  # type: ignore[attr-defined]


@suggest_arguments
def audit(model: keras.layers.Layer, *, step: Sequence[Any] | Mapping[str, Any] | None = None) -> Audit:
    """Reads from a model which weights its loss penalises, how strongly, and what looks wrong.

    Args:
        model: A built Keras model or layer.
        step: A batch, `(x, y)` or `(x, y, sample_weight)` or whatever else the model's `train_step` takes. A
            step is taken on it, and everything is put back: what it really does with each penalty and with
            weight decay stands beside what regularizers and optimizer claim. For models that compute their
            loss or their step themselves, which no reading can tell.

    Returns:
        A row for every weight, totals, and problems in words: kernels without a penalty; layers whose
        saved configuration and training disagree (an attribute set on a built layer does nothing until
        the model is saved and loaded); penalised biases, norms, tokens, positions and scales of layers;
        frozen weights whose penalty does not count now; an optimizer whose weight decay reaches what L2
        spares by convention.

    Raises:
        TypeError: `model` is not a Keras layer or model.
        ValueError: `model` is not built; with `step`, it is not compiled.

    Example:
        >>> import keras
        >>> from l2zoo import L2Policy
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="dense")])
        >>> audit(L2Policy(1e-4).apply(model)).summary
        'l2: 1 kernel at 0.0001, 1 bias free'
    """
    weights = weights_of(model)
    values = [_penalty(weight) for weight in weights]
    total = sum(values)
    scale_free = {id(weight.variable) for weight in scale_free_kernels(model)}
    rows = tuple(
        _row(w, value, total, normalised=id(w.variable) in scale_free)
        for w, value in zip(weights, values, strict=True)
    )
    decay, decay_problems = _weight_decay(model, weights)
    problems = _problems(weights, rows) + decay_problems
    if not decay and not any(map(_has_penalty, rows)):
        problems.insert(0, "no weight carries a penalty")
    parts = None if step is None else measure_step(model, step, _decay_of_each(model, weights))
    if parts is not None:
        problems += _step_problems(parts, rows)
    return Audit(model.name, rows, total, tuple(problems), decay, parts)


def _step_problems(parts: Mapping[str, StepPart], rows: tuple[AuditRow, ...]) -> list[str]:
    if not parts:
        return ["a step moves no weight"]
    penalised = [row.path for row in rows if _has_penalty(row) and not row.frozen]
    return [
        f"{len(paths)} weight{'s' * (len(paths) > 1)} {what}: {first_names(paths)}"
        for paths, what in step_problems(parts, penalised)
        if paths
    ]


def _penalty(weight: Weight) -> float:
    regularizer = weight.variable.regularizer
    if regularizer is None or not weight.variable.trainable:
        return 0.0
    return float(ops.convert_to_numpy(regularizer(weight.variable)))


def _row(weight: Weight, value: float, total: float, *, normalised: bool) -> AuditRow:
    l1, strength = coefficients(weight.variable.regularizer) or (None, None)
    shape = tuple(int(n) for n in weight.variable.shape)
    parameters = 1
    for n in shape:
        parameters *= n
    share = value / total if total else 0.0
    frozen = not weight.variable.trainable
    return AuditRow(
        weight.path, weight.role, shape, parameters, l1, strength, value, share, frozen, normalised,
        exempt=weight.exempt and strength == 0,
    )  # fmt: skip


def _problems(weights: list[Weight], rows: tuple[AuditRow, ...]) -> list[str]:
    penalised = [row for row in rows if _has_penalty(row)]
    bare = [row.path for row in rows if not (row.role in FREE_ROLES or row.exempt or _has_penalty(row))]
    silent, lost, differ = _disagreements(weights)
    frozen = [row.path for row in penalised if row.frozen]
    foreign = [row.path for row in rows if row.strength is None]
    found = (
        (bare if penalised else [], "kernel", "kernels", "without a penalty"),
        (silent, "penalty", "penalties", "set on the layer only: nothing now, but after save and load_model"),
        (lost, "penalty", "penalties", "of the variable only: counts now, but not after save and load_model"),
        (differ, "penalty", "penalties", "with another number after save and load_model"),
        *((paths, one, many, "penalised") for paths, one, many in _exempt(penalised)),
        (frozen, "frozen weight", "frozen weights", "with a penalty that does not count now"),
        (foreign, "regularizer", "regularizers", "neither L1 nor L2"),
    )
    return [
        f"{len(paths)} {one if len(paths) == 1 else many} {what}: {first_names(paths)}"
        for paths, one, many, what in found
        if paths
    ]


def _disagreements(weights: list[Weight]) -> tuple[list[str], list[str], list[str]]:
    """Paths whose penalty would come, go, or be another one by `save` and `load_model`."""
    pairs = zip(weights, after_reload(weights), strict=True)
    known = [(w.path, coefficients(w.variable.regularizer), after) for w, after in pairs]
    silent = [path for path, now, after in known if now == _NOTHING != after]
    lost = [path for path, now, after in known if after == _NOTHING != now]
    differ = [path for path, now, after in known if now != after and _NOTHING not in (now, after)]
    return silent, lost, differ


def _optimizer_of(model: Any) -> Any:
    optimizer = getattr(model, "optimizer", None)
    return getattr(optimizer, "inner_optimizer", optimizer)  # mixed precision wraps the one that decays


def _decay_of_each(model: Any, weights: list[Weight]) -> dict[str, float]:
    """The weight decay that the optimizer claims for each weight that trains, by path."""
    optimizer = _optimizer_of(model)
    trained = [w for w in weights if w.variable.trainable]
    decay = float(getattr(optimizer, "weight_decay", None) or 0.0)
    choices = decays(optimizer, [w.variable for w in trained]) if decay else [False] * len(trained)
    return {w.path: decay * choice for w, choice in zip(trained, choices, strict=True)}


def _weight_decay(model: Any, weights: list[Weight]) -> tuple[str, list[str]]:
    optimizer = _optimizer_of(model)
    decay = getattr(optimizer, "weight_decay", None)
    if not decay:
        return "", []
    claimed = _decay_of_each(model, weights)
    reached = [w for w in weights if claimed.get(w.path)]
    name = type(optimizer).__name__
    words = f"{name} decays {len(reached)} of {len(weights)} weights, weight_decay={_number(decay)}"
    problems = [
        f"{name}'s weight decay reaches {len(paths)} {one if len(paths) == 1 else many}: {first_names(paths)}"
        for paths, one, many in _exempt(reached)
        if paths
    ]
    return words, problems


def _exempt(weights: Sequence[Weight | AuditRow]) -> list[tuple[list[str], str, str]]:
    """Paths of the weights that L2 spares by convention, with a word for one and for many of their kind."""
    return [([w.path for w in weights if w.role in roles], one, many) for roles, one, many in _EXEMPT]


def _cells(row: AuditRow, step: Mapping[str, StepPart] | None) -> Row:
    cells = (
        cell(row.path),
        cell(f"{row.role} ≈" if row.normalised else row.role),
        cell("x".join(map(str, row.shape)) or "scalar"),
        cell(row.parameters, "{:,}"),
        _or_dash(row.l1),
        Cell("other") if row.strength is None else _or_dash(row.strength),
        Cell("frozen") if row.frozen else _or_dash(row.penalty),
        cell(row.share, "{:.1%}") if row.penalty else Cell("-"),
    )
    return Row(cells if step is None else (*cells, *_step_cells(row, step)))


def _step_cells(row: AuditRow, step: Mapping[str, StepPart]) -> tuple[Cell, ...]:
    return step_cells(step.get(row.path), row.strength, penalised=_has_penalty(row))


def _group(path: str) -> str:
    """The name of the layers that a weight belongs to, by what they have in common."""
    *around, layer, _ = path.split("/") if "/" in path else (path, "")
    if around:
        return "/".join(around)
    numbered = re.match(r"[^\W_]*?_?\d+[a-z]?(?=_)", layer)
    return numbered[0] if numbered else re.sub(r"_\d+$", "", layer)


def _or_dash(value: float | None) -> Cell:
    return Cell(_number(value), value) if value else Cell("-")


def _number(value: float) -> str:
    return f"{value:.4g}"


def _has_penalty(row: AuditRow) -> bool:
    return row.strength is None or bool(row.strength or row.l1)


def _coefficients(row: AuditRow) -> str:
    if row.strength is None:
        return "with another regularizer"
    return f"at {_number(row.strength)}" + (f" and l1 {_number(row.l1)}" if row.l1 else "")


def _role_words(role: str, n: int) -> str:
    return f"{role}s" if n > 1 and role in ("kernel", "embedding") else role


def _free_words(rows: list[AuditRow]) -> str:
    """`2 tokens, 1 position, 105 biases and norms`."""
    roles = Counter(row.role for row in rows)
    named = [f"{n} {role}{'s' if n > 1 else ''}" for role, n in roles.items() if role not in ("bias", "norm")]
    others = [row.role for row in rows if row.role in ("bias", "norm")]
    named += [f"1 {others[0]}" if len(others) == 1 else f"{len(others)} biases and norms"] if others else []
    return ", ".join(named)
