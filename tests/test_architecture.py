"""The map of the house: imports go one way, names are where the table of contents says, texts are clean."""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import importlib.metadata
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import l2zoo
from l2zoo.registration import REGISTERING
from tests.processes import output_of

ROOT = Path(__file__).resolve().parent.parent

# From the ground up. A unit imports from the floors below it and from nowhere else; every architecture in
# `models` is a unit of its own, so that models do not import each other.
FLOORS = (
    {"utils"},
    {"data", "models.frames", "registration", "reports", "stats"},
    {"models.blocks", "regularization"},
    {"tasks"},
    {"artifacts", "training", "zoo"},
    {"engine", "inference", "models.backbones", "models.pretrained"},
    {"models", "search"},
    {"studies"},
    {"cli"},
)


def modules() -> dict[str, Path]:
    """Gives every module below `l2zoo` by its name without the `l2zoo.`."""
    found = {}
    for path in sorted((ROOT / "l2zoo").rglob("*.py")):
        parts = path.relative_to(ROOT / "l2zoo").with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            found[name] = path
    return found


MODULES = modules()


def unit_of(module: str) -> str:
    """What holds together: a module or a package at the top of `l2zoo`, a single module of `models`."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "models" else parts[0]


def floor_of(unit: str) -> int | None:
    """The index of the floor on which the unit, or its package, stands."""
    for name in (unit, unit.split(".")[0]):
        for index, units in enumerate(FLOORS):
            if name in units:
                return index
    return None


def home_of(name: str) -> str | None:
    """Gives the module behind `l2zoo.NAME`: itself, or that of a public name, or None for plain facts."""
    if name.split(".")[0] in {module.split(".")[0] for module in MODULES}:
        return name
    home = l2zoo._HOME.get(name.split(".")[0])
    return home.removeprefix("l2zoo.") if home else None


@functools.cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every import of ours, wherever in the file it stands: the line, and the module."""
    for node in nodes_of(path):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are absolute here."
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif (
            isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "l2zoo"
        ):
            names = [f"l2zoo.{node.attr}"]
        for name in names:
            home = home_of(name.removeprefix("l2zoo.")) if name.startswith("l2zoo.") else None
            if home:
                yield node.lineno, home


def test_imports_go_one_way() -> None:
    wrong = []
    for module, path in MODULES.items():
        unit = unit_of(module)
        floor = floor_of(unit)
        assert floor is not None, (
            f"Put {unit!r} on a floor of the map in {Path(__file__).name}, and in CONTRIBUTING.md."
        )
        for line, other in imports_of(path):
            other_floor = floor_of(unit_of(other))
            assert other_floor is not None, f"{module}:{line} imports {other}, which is on no floor."
            if unit_of(other) != unit and other_floor >= floor:
                wrong.append(f"{module}:{line} imports {other}, which stands no lower than {unit}.")
    assert not wrong, "\n".join(wrong)


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {}
    for module, path in MODULES.items():
        homes = {module_in(home) for _, home in imports_of(path)}
        graph[module] = homes - {module, None}
    graphlib.TopologicalSorter(graph).prepare()  # which names the circle


def module_in(name: str) -> str | None:
    """The longest beginning of a dotted name that is a module."""
    parts = name.split(".")
    found = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in found if name in MODULES), None)


def test_what_is_registered_needs_nothing_that_may_be_importing_keras_at_that_moment() -> None:
    seen, waiting = set(), [module.removeprefix("l2zoo.") for module in REGISTERING]
    while waiting:
        module = waiting.pop()
        if module in MODULES and module not in seen:
            seen.add(module)
            waiting += [other for _, other in imports_of(MODULES[module])]
    homes = {home.removeprefix("l2zoo.") for home in l2zoo._HOME.values()}
    assert not seen & homes


def test_the_map_names_nothing_that_is_gone() -> None:
    there = {part for module in MODULES for part in (module, module.split(".")[0])}
    assert set().union(*FLOORS) <= there


def houses_in(text: str) -> set[str]:
    """The paths that a drawn map names: two spaces deep what lies in `l2zoo/`, four deep what lies below."""
    named, above = set(), "l2zoo/"
    inside = False
    for line in text.splitlines():
        found = re.match(r"( *)([\w./]+/|\w+\.py)(?: |$)", line)
        depth = len(found[1]) if found else -1
        if found and depth == 0:
            inside = found[2] == "l2zoo/"
        elif found and inside and depth == 2:
            above = found[2]
            named.add(above)
        elif found and inside and depth == 4:
            named.add(above + found[2])
    return named


def test_the_map_for_contributors_names_every_folder_and_every_file_at_the_top() -> None:
    drawn = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## The house", 1)[1]
    named = houses_in(drawn.split("```")[1])
    package = ROOT / "l2zoo"
    folders = {f"{path.parent.relative_to(package).as_posix()}/" for path in package.rglob("*/*.py")}
    files = {path.name for path in package.glob("*.py")}
    assert {name for name in named if name.count("/") == 0 or name.endswith("/")} == folders | files
    assert all((package / name).exists() for name in named)


def test_the_walk_over_a_drawn_map_knows_what_lies_where() -> None:
    drawn = """text
l2zoo/
  a.py        words
  data/       words (x.py:
              more)
    sources/  words
    load.py
recipes/      words
  b/
"""
    assert houses_in(drawn) == {"a.py", "data/", "data/sources/", "data/load.py"}


def test_the_walk_sees_imports_inside_functions_and_through_the_package(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text(
        "import l2zoo\n"
        "from l2zoo import regularization, __version__\n"
        "def function():\n"
        "    from l2zoo.engine import record\n"
        "    return l2zoo.build_cnn, l2zoo.__version__\n"
    )
    seen = [unit_of(module) for _, module in imports_of(source)]
    assert sorted(seen) == ["engine", "models.cnn", "regularization"]


@pytest.mark.parametrize("name", l2zoo.__all__)
def test_every_public_name_is_where_the_table_says(name: str) -> None:
    value = getattr(l2zoo, name)
    if name in l2zoo._HOME:
        assert value is getattr(importlib.import_module(l2zoo._HOME[name]), name)
        assert value.__doc__


def test_no_public_function_bears_the_name_of_a_module_at_the_top() -> None:
    inside = {module.name for module in pkgutil.iter_modules([str(ROOT / "l2zoo")])}
    assert not set(l2zoo.__all__) & inside, "importing the module would hide the public name."


def test_no_module_hides_what_its_package_hands_on() -> None:
    for name in MODULES:
        importlib.import_module(f"l2zoo.{name}")
    for name, path in MODULES.items():
        if path.stem == "__init__":
            package = importlib.import_module(f"l2zoo.{name}")
            hidden = [
                each for each in getattr(package, "__all__", ()) if inspect.ismodule(getattr(package, each))
            ]
            assert not hidden, f"l2zoo.{name}: a module stands where {hidden} should."


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'l2zoo' has no attribute 'tune'"):
        _ = l2zoo.tune


def test_importing_l2zoo_loads_no_framework() -> None:
    heavy = "{'keras', 'tensorflow', 'jax', 'torch', 'numpy', 'sklearn', 'matplotlib', 'rich', 'typer'}"
    code = f"import sys, l2zoo; dir(l2zoo); print(sorted({heavy} & set(sys.modules)))"
    assert output_of([sys.executable, "-c", code]) == "[]\n"


def test_every_package_that_is_imported_is_declared() -> None:
    # Not "dev": who only uses l2zoo does not have it.
    declared = declared_packages("jax", "onnx", "photos", "ray", "serve", "signing", "torch")
    providers = {
        "skimage": ["scikit-image"]
    } | importlib.metadata.packages_distributions()  # or not installed
    for name, path in MODULES.items():
        for package in packages_of(path) - set(sys.stdlib_module_names) - {"l2zoo", "__future__"}:
            names = set(map(canonical, providers.get(package, [package])))
            assert names & declared, f"l2zoo.{name} imports {package}, which pyproject.toml does not declare."


def declared_packages(*extras: str) -> set[str]:
    """The packages that pyproject.toml asks for, with these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return {canonical(re.split(r"[\s<>=\[;]", line)[0]) for line in lines}


def canonical(distribution: str) -> str:
    """A distribution's name as constraints.txt spells it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def packages_of(path: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in the file."""
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def pins(name: str) -> dict[str, str]:
    """Package and version of every line of a file of constraints."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    return dict(line.split("==") for line in lines)


def test_constraints_pin_every_dependency_to_a_public_version() -> None:
    assert pins("constraints.txt").keys() >= declared_packages("dev", "docs", "jax", "torch")


def test_the_lowest_versions_are_those_that_are_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = pins("constraints-lowest.txt")
    for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        name, bound = line.split(">=")
        parts = bound.split(".")
        assert (lowest[canonical(name)].split(".") + ["0"] * len(parts))[: len(parts)] == parts, line


def test_the_version_is_the_same_wherever_it_stands() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## \[(\d[\w.]*)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)[0]
    assert cited
    assert {project["version"], cited[1], newest} == {l2zoo.__version__}


# ---- Texts -------------------------------------------------------------------------------------------------

# Spelled in pieces, so that this file passes its own test.
HOSTS = (
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry.npm" + "js",
    "deb.deb" + "ian.org",
    "hugging" + "face.co",
)
PATHS = ("work", "root", "tmp", "home", "opt")
FORBIDDEN = re.compile("|".join([*map(re.escape, HOSTS), rf"(?<![\w.\-}}])/(?:{'|'.join(PATHS)})/"]))


def texts() -> Iterator[tuple[str, str]]:
    """Name and content of every text file in the repository."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    for name in listed.decode().split("\0"):
        path = ROOT / name
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content[:8192]:
                yield name, content.decode("utf-8", errors="replace")


def test_no_text_names_a_registry_or_a_path_of_somebody_s_machine() -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if FORBIDDEN.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("bad", ["see https://" + HOSTS[0] + "/project", "x = '/" + "tmp/a'", "/" + "root/b"])
def test_the_pattern_finds_what_it_forbids(bad: str) -> None:
    assert FORBIDDEN.search(bad)


@pytest.mark.parametrize("fine", ["runs/work/a", "l2zoo/tmp/", "/usr/bin/env bash", "and/or"])
def test_the_pattern_leaves_the_rest_alone(fine: str) -> None:
    assert not FORBIDDEN.search(fine)
