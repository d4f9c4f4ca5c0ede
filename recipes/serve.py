"""Serves an exported artifact over HTTP from your own script, as long as a block lasts.

    pip install "l2zoo[serve]"
    python recipes/serve.py runs/demo/artifact
    curl --data-binary @one.png --header "Content-Type: image/png" http://127.0.0.1:8000/

`l2zoo serve` does the same with options, and ends on SIGTERM too; recipes/README.md ("A server") has figures
and limits. Only this machine can reach it; there is no authentication.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from l2zoo import Predictor
from l2zoo.inference.server import ray_serve
from l2zoo.inference.server.settings import Settings
from l2zoo.utils.scripts import run_script

REPLICAS = 2  # processes that predict
SETTINGS = Settings(max_images=4, max_bytes=4 * 2**20)  # of a request; the rest as it is


def main(
    artifact: Annotated[Path, typer.Argument(help="Folder of an artifact, or the name of a saved model.")],
    port: int = 8000,
    seconds: Annotated[float, typer.Option(help="How long it serves.")] = 3600.0,
) -> None:
    """Serves an artifact for an hour, or until Ctrl-C."""
    predictor = Predictor(artifact)
    with ray_serve.serve(predictor, port=port, replicas=REPLICAS, settings=SETTINGS) as port:
        print(f"Serving {predictor.task} at http://127.0.0.1:{port}/", flush=True)
        time.sleep(seconds)


if __name__ == "__main__":
    run_script(main)
