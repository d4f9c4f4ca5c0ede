"""Serves an exported artifact over HTTP, with Ray Serve: in batches, by several processes, which may die.

    pip install "l2zoo[serve]"
    python recipes/serve.py runs/demo/artifact --replicas 2
    curl --data-binary @one.png --header "Content-Type: image/png" http://127.0.0.1:8000/
    curl --form a=@one.png --form b=@two.jpg http://127.0.0.1:8000/     # several: a list, in their order

`GET /` says what is served, `GET /health` whether it answers. What is said of an image is what
`Predictor.predict` says; of bad input `{"error": ...}`, with a status of 4xx. Only this machine can reach it
unless `--host` says otherwise; there is no authentication. Images that come at the same time are computed
together, and what a replica was asked when it died is given to another. recipes/README.md ("A server") has
figures and limits.
"""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from l2zoo import Predictor
from l2zoo.inference.server import ray_serve
from l2zoo.inference.server.ray_serve import Settings
from l2zoo.utils.scripts import run_script

SETTINGS = Settings()


def main(
    artifact: Annotated[Path, typer.Argument(help="Folder of an artifact, or the name of a saved model.")],
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8000,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. WARNING: with any but the default, whoever reaches this machine can "
            "use the server: there is no authentication and no encryption. Put a proxy with both before it."
        ),
    ] = ray_serve.LOOPBACK,
    replicas: Annotated[int, typer.Option(help="Processes that predict, one thread each.", min=1)] = 1,
    format: Annotated[str, typer.Option(help="auto, tflite, tflite_fp16, ..._dynamic or ..._int8.")] = "auto",  # noqa: A002
    threshold: Annotated[
        float | None, typer.Option(help="Probability from which on a class is there; the artifact's.")
    ] = None,
    settings: Settings = SETTINGS,
) -> None:
    """Serves an artifact for classification, segmentation, detection or regression until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        end_by_signals()
        predictor = Predictor(artifact, format=format, threshold=threshold)
        with ray_serve.serve(predictor, host=host, port=port, replicas=replicas, settings=settings) as port:
            end_by_signals()  # Ray has put its own handlers there
            print(f"Serving {predictor.task} at http://{host}:{port}/ (Ctrl-C ends it)", flush=True)
            while True:
                time.sleep(3600)


def end_by_signals() -> None:
    """Lets SIGTERM, and SIGHUP of a terminal that is closed, do what Ctrl-C does; not under `nohup`."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


if __name__ == "__main__":
    run_script(main)
