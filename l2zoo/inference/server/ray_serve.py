"""Serving by Ray Serve: processes that predict, which may die, behind a door that this process keeps.

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
import socket
from collections.abc import Callable, Iterator
from typing import Any

from l2zoo.inference.predictor import Predictor
from l2zoo.inference.server import answers, app, decoding, door
from l2zoo.inference.server.clients import Clients
from l2zoo.inference.server.decoding import Decoded, Decoder, Refusal, Takes
from l2zoo.inference.server.settings import DEFAULTS, LOOPBACK, Settings
from l2zoo.utils.processes.after_death import working_folder

ATTEMPTS = 4  # replicas that may die over one request
WAIT = 0.002  # seconds that the first image of a batch waits for others
LARGE = 2**20  # bytes of masks, which take a while to write
SENDING = 60.0  # seconds in which a client must have taken its answer
QUIET = {"log_level": "WARNING", "enable_access_log": False}


@contextlib.contextmanager
def serve(
    predictor: Predictor,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    replicas: int = 1,
    settings: Settings = DEFAULTS,
) -> Iterator[int]:
    """Serves an artifact over HTTP as long as the block lasts; `app` says what is answered.

    Args:
        predictor: Of classification, segmentation, detection or regression; its threshold holds.
        host: Address to listen on; there is no authentication, so any but the default lets everybody in.
        port: 0 takes a free one.
        replicas: Processes that predict, one thread each, with three more that decode images.
        settings: What clients may ask for.

    Yields:
        The port.

    Raises:
        ImportError: Ray Serve or what reads forms is not installed.
        OSError: The port cannot be had.
        ValueError: The artifact is for something else, or `max_pixels` is more than Pillow allows.
    """
    settings.limits.check()
    about = app.describe(predictor)
    height, width, channels = predictor.image_shape
    takes = Takes((height, width), channels, predictor.aspect)
    kind = predictor.output_kind
    threshold = kind.threshold if kind is not None and kind.has_threshold else None
    open_predictor = functools.partial(
        Predictor, predictor.folder, format=predictor.format, threshold=threshold, **predictor.trust
    )
    clients = Clients(settings.shares)
    seconds = settings.body_seconds + app.TIMEOUT + SENDING

    with _listen(host, port) as listening, _local_ray(replicas):
        from ray import serve

        logging.getLogger("ray.serve").setLevel(logging.ERROR)  # a replica's death is a warning a request
        serve.start(proxy_location="Disabled", logging_config=QUIET)
        model = _replicate(open_predictor, replicas, takes=takes, settings=settings)
        handle = serve.run(model.bind(), route_prefix=None)
        application = app.build_application(
            about,
            predict=functools.partial(_call, handle.predict),
            ready=functools.partial(_call, handle.ready),
            bounds=app.Bounds(settings.max_bytes, settings.max_images, settings.body_seconds),
            clients=clients,
        )
        with door.open_door(application, listening, clients=clients, request_seconds=seconds):
            yield listening.getsockname()[1]


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        reason = f"{host}:{port} cannot be had ({error.strerror}). --port 0 takes a free one."
        raise OSError(reason) from error


def _replicate(
    open_predictor: Callable[[], Predictor], replicas: int, *, takes: Takes, settings: Settings
) -> Any:
    """Processes with a predictor each, which answer several requests at once."""
    from ray import serve

    def count_images(requests: list[list[Decoded]]) -> int:
        return sum(map(len, requests))

    @serve.deployment(
        num_replicas=replicas,
        max_ongoing_requests=settings.max_all_connections,  # those that wait for a decoder hold up nobody
        health_check_period_s=1,
        logging_config=QUIET,
        ray_actor_options={"num_cpus": 1},
    )
    class Model:
        def __init__(self) -> None:
            self.predictor = open_predictor()
            self.decoder = Decoder(takes, settings.limits)

        async def predict(self, files: list[bytes], client: str) -> Refusal | list[app.Answer]:
            decoded = await self.decoder.decode(files, client)
            if isinstance(decoded, Refusal):
                return decoded
            images = [one for one in decoded if isinstance(one, Decoded)]
            views = [
                answers.view_of(one.size, takes, masks=self.predictor.task == "segmentation")
                for one in images
            ]
            size = answers.mask_bytes(self.predictor, views, takes)
            found: list[bytes] = []
            # Large masks go one by one, so that others come in between.
            many = settings.max_batch if size < LARGE else 1
            for start in range(0, len(images) if size <= settings.max_answer else 0, many):
                found += await self.predict_batch(images[start : start + many])
                size = sum(map(len, found))
            if size > settings.max_answer:
                return Refusal(
                    decoding.TOO_LARGE,
                    f"The answer would have {size:,} bytes, of which {settings.max_answer:,} are allowed. "
                    "Send fewer images at a time, or smaller ones.",
                )
            rest = iter(found)
            return [one if isinstance(one, Refusal) else next(rest) for one in decoded]

        @serve.batch(max_batch_size=settings.max_batch, batch_wait_timeout_s=WAIT, batch_size_fn=count_images)
        async def predict_batch(self, requests: list[list[Decoded]]) -> list[list[bytes]]:
            return await asyncio.to_thread(answers.predict_requests, self.predictor, requests, takes)

        async def ready(self) -> None:
            """Answers."""

    return Model


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

    with working_folder("l2zoo-serve-", of="ray") as folder:
        try:
            ray.init(
                "local", num_cpus=processors, include_dashboard=False, log_to_driver=False,
                logging_level=logging.ERROR, runtime_env={"worker_process_setup_hook": _bind_to_loopback},
                _node_ip_address=LOOPBACK, _temp_dir=folder,
            )  # fmt: skip
            yield
        finally:
            ray.shutdown()


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
