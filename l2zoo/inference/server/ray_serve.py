"""Serving by Ray Serve: a door that reads requests, and processes that predict, which may die.

What a replica was asked when it died is given to another. Ray runs whatever it is sent, so it listens on this
machine alone; the door's address is for the caller to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

from l2zoo.inference.predictor import Predictor
from l2zoo.inference.server import app, uploads

LOOPBACK = "127.0.0.1"
ATTEMPTS = 4  # replicas that may die over one request
WAIT = 0.002  # seconds that the first image of a batch waits for others
ONGOING = 128  # requests that are read at the same time; as many may wait, and the next one is told 503
TIMEOUT = 120.0  # seconds for a request, all in all
QUIET = {"log_level": "WARNING", "enable_access_log": False}


@contextlib.contextmanager
def serve(
    predictor: Predictor,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    replicas: int = 1,
    max_batch: int = 32,
    max_bytes: int = 8 * 2**20,
    max_pixels: int = 16_000_000,
    max_images: int = 16,
) -> Iterator[int]:
    """Serves an artifact over HTTP as long as the block lasts; `app` says what is answered.

    Args:
        predictor: Of classification, segmentation, detection or regression; its threshold holds.
        host: Address to listen on; there is no authentication, so any but the default lets everybody in.
        port: 0 takes a free one.
        replicas: Processes that predict, one thread each.
        max_batch: Images computed together, at most.
        max_bytes: Of the body of a request.
        max_pixels: Of an image, height times width.
        max_images: In a request.

    Yields:
        The port.

    Raises:
        ImportError: Ray Serve or what reads forms is not installed.
        OSError: The port cannot be had.
        ValueError: The artifact is for something else, or `max_pixels` is more than Pillow allows.
    """
    uploads.check_max_pixels(max_pixels)
    about = app.describe(predictor)
    kind = predictor.output_kind
    threshold = kind.threshold if kind is not None and kind.has_threshold else None
    open_predictor = functools.partial(
        Predictor, predictor.folder, format=predictor.format, threshold=threshold
    )
    port = _free_port(host, port)

    with _local_ray(replicas):
        from ray import serve

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        http = {"host": host, "port": port, "request_timeout_s": TIMEOUT}
        serve.start(proxy_location="HeadOnly", http_options=http, logging_config=QUIET)

        def build_application() -> Any:
            model = serve.get_deployment_handle("Model")
            return app.build_application(
                about,
                predict=functools.partial(_predict, model, max_batch),
                ready=functools.partial(_call, model.ready),
                max_bytes=max_bytes,
                max_images=max_images,
            )

        door = serve.deployment(
            name="Door", max_ongoing_requests=ONGOING, max_queued_requests=ONGOING, logging_config=QUIET,
            ray_actor_options={"num_cpus": 0},
        )  # fmt: skip
        model = _replicate(open_predictor, replicas, max_batch=max_batch, max_pixels=max_pixels)
        serve.run(door(serve.ingress(build_application)()).bind(model.bind()))
        yield port


def _free_port(host: str, port: int) -> int:
    try:
        with socket.create_server((host, port)) as free:
            return int(free.getsockname()[1])
    except OSError as error:
        reason = f"{host}:{port} cannot be had ({error.strerror}). --port 0 takes a free one."
        raise OSError(reason) from error


def _replicate(
    open_predictor: Callable[[], Predictor], replicas: int, *, max_batch: int, max_pixels: int
) -> Any:
    """Processes with a predictor each, which answer several requests at once."""
    from ray import serve

    def count_images(requests: list[list[bytes]]) -> int:
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
            self.predictor = open_predictor()

        @serve.batch(max_batch_size=max_batch, batch_wait_timeout_s=WAIT, batch_size_fn=count_images)
        async def predict(self, requests: list[list[bytes]]) -> list[list[uploads.Answer]]:
            files = [file for request in requests for file in request]
            answers = iter(uploads.predict_files(self.predictor, files, max_pixels=max_pixels))
            return [list(islice(answers, len(request))) for request in requests]

        async def ready(self) -> None:
            """Answers."""

    return Model


async def _predict(model: Any, max_batch: int, files: list[bytes]) -> list[uploads.Answer]:
    """What replicas say of some image files, in parts that fit into a batch."""
    parts = [files[start : start + max_batch] for start in range(0, len(files), max_batch)]
    return list(chain(*await asyncio.gather(*(_call(model.predict, part) for part in parts))))


async def _call(method: Any, *arguments: Any) -> Any:
    """What some replica says; another one, if that dies: to predict the same twice does no harm."""
    from ray.exceptions import RayActorError
    from starlette.exceptions import HTTPException

    for _ in range(ATTEMPTS):
        with contextlib.suppress(RayActorError):
            return await method.remote(*arguments)
    raise HTTPException(503, f"{ATTEMPTS} replicas died over this.")


@contextlib.contextmanager
def _local_ray(processors: int) -> Iterator[None]:
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

    # Sockets lie in there, and the path of a socket must be short.
    folder = tempfile.mkdtemp(prefix="l2zoo-serve-", dir="/tmp" if os.name == "posix" else None)
    try:
        ray.init(
            "local", num_cpus=processors, include_dashboard=False, log_to_driver=False,
            logging_level=logging.ERROR, runtime_env={"worker_process_setup_hook": _bind_to_loopback},
            _node_ip_address=LOOPBACK, _temp_dir=folder,
        )  # fmt: skip
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _bind_to_loopback() -> None:
    """Comes first in each of Ray's processes, or the gRPC server of each replica listens on all addresses."""
    from grpc import aio

    make = aio.server

    def server(*arguments: Any, **options: Any) -> Any:
        made = make(*arguments, **options)
        bind = made.add_insecure_port
        made.add_insecure_port = lambda address: bind(address.replace("[::]", LOOPBACK))
        return made

    aio.server = server
