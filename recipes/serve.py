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

import asyncio
import contextlib
import functools
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from l2zoo import Predictor
from l2zoo.inference.server import app, uploads
from l2zoo.utils.scripts import run_script

LOOPBACK = "127.0.0.1"
ATTEMPTS = 4  # replicas that may die over one request
WAIT = 0.002  # seconds that the first image of a batch waits for others
ONGOING = 128  # requests that are read at the same time; as many may wait, and the next one is told 503
TIMEOUT = 120.0  # seconds for a request, all in all
QUIET = {"log_level": "WARNING", "enable_access_log": False}


def main(
    artifact: Annotated[Path, typer.Argument(help="Folder of an artifact, or the name of a saved model.")],
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8000,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. WARNING: with any but the default, whoever reaches this machine can "
            "use the server: there is no authentication and no encryption. Put a proxy with both before it."
        ),
    ] = LOOPBACK,
    replicas: Annotated[int, typer.Option(help="Processes that predict, one thread each.", min=1)] = 1,
    max_batch: Annotated[int, typer.Option(help="Images computed together, at most.", min=1)] = 32,
    format: Annotated[str, typer.Option(help="auto, tflite, tflite_fp16, ..._dynamic or ..._int8.")] = "auto",  # noqa: A002
    max_bytes: Annotated[int, typer.Option(help="Of the body of a request.", min=1)] = 8 * 2**20,
    max_pixels: Annotated[int, typer.Option(help="Of an image, height times width.", min=1)] = 16_000_000,
    max_images: Annotated[int, typer.Option(help="In a request.", min=1)] = 16,
) -> None:
    """Serves an artifact for classification, segmentation or detection until Ctrl-C."""
    uploads.check_max_pixels(max_pixels)
    predictor = Predictor(artifact, format=format)
    about = app.description(predictor)
    predicting = functools.partial(Predictor, predictor.folder, format=predictor.format)
    try:
        with socket.create_server((host, port)) as free:
            port = free.getsockname()[1]
    except OSError as error:
        reason = f"{host}:{port} cannot be had ({error.strerror}). --port 0 takes a free one."
        raise OSError(reason) from error

    with local_ray(replicas):
        from ray import serve

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        http = {"host": host, "port": port, "request_timeout_s": TIMEOUT}
        serve.start(proxy_location="HeadOnly", http_options=http, logging_config=QUIET)

        def pages() -> Any:
            model = serve.get_deployment_handle("Model")
            return app.application(
                about,
                ask=functools.partial(asked, model, max_batch),
                ready=functools.partial(heard, model.ready),
                max_bytes=max_bytes,
                max_images=max_images,
            )

        door = serve.deployment(
            name="Door", max_ongoing_requests=ONGOING, max_queued_requests=ONGOING, logging_config=QUIET,
            ray_actor_options={"num_cpus": 0},
        )  # fmt: skip
        model = replicated(predicting, replicas, max_batch=max_batch, max_pixels=max_pixels)
        serve.run(door(serve.ingress(pages)()).bind(model.bind()))
        print(f"Serving {predictor.task} at http://{host}:{port}/ (Ctrl-C ends it)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


def replicated(predicting: Callable[[], Predictor], replicas: int, *, max_batch: int, max_pixels: int) -> Any:
    """Processes with a predictor each, which answer several requests at once."""
    from ray import serve

    def images(requests: list[list[bytes]]) -> int:
        return sum(map(len, requests))

    @serve.deployment(
        num_replicas=replicas,
        max_ongoing_requests=2 * max_batch,  # a batch is computed while the next one gathers
        health_check_period_s=1,
        logging_config=QUIET,
        ray_actor_options={"num_cpus": 1},
    )
    class Model:
        def __init__(self) -> None:
            self.predictor = predicting()

        @serve.batch(max_batch_size=max_batch, batch_wait_timeout_s=WAIT, batch_size_fn=images)
        async def predict(self, requests: list[list[bytes]]) -> list[list[uploads.Answer]]:
            files = [file for request in requests for file in request]
            found = iter(uploads.answers(self.predictor, files, max_pixels=max_pixels))
            return [list(islice(found, len(request))) for request in requests]

        async def ready(self) -> None:
            """Answers."""

    return Model


async def asked(model: Any, max_batch: int, files: list[bytes]) -> list[uploads.Answer]:
    """What replicas say of some image files, in parts that fit into a batch."""
    parts = [files[start : start + max_batch] for start in range(0, len(files), max_batch)]
    return list(chain(*await asyncio.gather(*(heard(model.predict, part) for part in parts))))


async def heard(method: Any, *given: Any) -> Any:
    """What some replica says; another one, if that dies: to predict the same twice does no harm."""
    from ray.exceptions import RayActorError
    from starlette.exceptions import HTTPException

    for _ in range(ATTEMPTS):
        with contextlib.suppress(RayActorError):
            return await method.remote(*given)
    raise HTTPException(503, f"{ATTEMPTS} replicas died over this.")


@contextlib.contextmanager
def local_ray(processors: int) -> Iterator[None]:
    """A Ray of one's own that no other machine can reach, as long as the block lasts."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # or Ray takes all addresses instead of 127.0.0.1
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # or Ray leaves one in the home folder
    try:
        import python_multipart  # noqa: F401
        import ray
        import ray.serve
    except ImportError as error:
        raise ImportError(f'Serving needs more packages: pip install "l2zoo[serve]" ({error}).') from error

    folder = tempfile.mkdtemp(prefix="l2zoo-serve-", dir="/tmp")  # of sockets, whose paths must be short
    try:
        ray.init(
            "local", num_cpus=processors, include_dashboard=False, log_to_driver=False,
            logging_level=logging.ERROR, runtime_env={"worker_process_setup_hook": bind_to_loopback},
            _node_ip_address=LOOPBACK, _temp_dir=folder,
        )  # fmt: skip
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def bind_to_loopback() -> None:
    """Comes first in each of Ray's processes, or the gRPC server of each replica listens on all addresses."""
    from grpc import aio

    make = aio.server

    def server(*given: Any, **named: Any) -> Any:
        made = make(*given, **named)
        bind = made.add_insecure_port
        made.add_insecure_port = lambda address: bind(address.replace("[::]", LOOPBACK))
        return made

    aio.server = server


if __name__ == "__main__":
    run_script(main)
