"""The command that serves an artifact over HTTP, until it is stopped."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import Annotated

import typer

from l2zoo.cli import options
from l2zoo.inference.server.settings import DEFAULTS, LOOPBACK, Settings
from l2zoo.utils.console import say


def serve(
    artifact: options.Artifact,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8000,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. WARNING: with any but the default, whoever reaches this machine can "
            "use the server: there is no authentication and no encryption. Put a proxy with both before it."
        ),
    ] = LOOPBACK,
    replicas: Annotated[int, typer.Option(help="Processes that predict, one thread each.", min=1)] = 1,
    format: options.Runnable = "auto",  # noqa: A002
    threshold: options.Threshold = None,
    public_key: options.PublicKey = None,
    trusted: options.Trusted = False,
    settings: Settings = DEFAULTS,
) -> None:
    """Answer over HTTP what predict says, until Ctrl-C.

    In batches, by several processes that may die. GET / says what is served, GET /health whether it answers;
    an image is the body of a POST to /, several are a form. Only this machine can reach it unless --host says
    otherwise. With --public-key each process answers only if the artifact is signed by it.
    It needs: pip install "l2zoo[serve]"

    Example: l2zoo serve cnn_digits --replicas 2
    """
    with contextlib.suppress(KeyboardInterrupt):
        end_by_signals()
        from l2zoo.inference import Predictor
        from l2zoo.inference.server import ray_serve

        predictor = Predictor(
            artifact, format=format, threshold=threshold, trusted=trusted, public_key=public_key
        )
        with ray_serve.serve(predictor, host=host, port=port, replicas=replicas, settings=settings) as port:
            end_by_signals()  # Ray has put its own handlers there
            say(f"Serving {predictor.task} at http://{host}:{port}/ (Ctrl-C ends it)")
            while True:
                time.sleep(3600)


def end_by_signals() -> None:
    """Lets SIGTERM, and SIGHUP of a terminal that is closed, do what Ctrl-C does; not under `nohup`."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
