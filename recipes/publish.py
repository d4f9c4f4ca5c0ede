"""Puts the artifact of a run among the saved models, under a name, and writes their table anew.

    python recipes/publish.py runs/digits/artifact cnn_digits
    python recipes/publish.py runs/digits/artifact cnn_digits --out my_models

The artifact is verified first. A builder takes the weights of what is called `ARCHITECTURE_NAME` by
`weights="NAME"`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from l2zoo.artifacts import publish
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script


def main(
    artifact: Annotated[Path, typer.Argument(help="The artifact's folder.")],
    name: Annotated[str, typer.Argument(help="What it is called there, such as cnn_digits.")],
    out: Annotated[Path, typer.Option(help="The folder of saved models.")] = Path("saved_models"),
) -> None:
    """Verifies an artifact and copies it among the saved models."""
    show(publish(artifact, out, name=name))


if __name__ == "__main__":
    run_script(main, keeps_run=False)
