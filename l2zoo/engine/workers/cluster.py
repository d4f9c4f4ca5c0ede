"""Connects to Ray, or starts one that no other machine can reach: a Ray runs what it is sent."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import socket
import warnings
from typing import Any

from l2zoo.utils.interrupts import sure_exits
from l2zoo.utils.processes.after_death import working_folder

# How TensorFlow, PyTorch and JAX are told the number of their threads, all before they load.
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC", "PJRT_NPROC")
# What else in the environment changes what is computed, or what is written about it.
_PASSED_ON = (
    "TF_CPP_MIN_LOG_LEVEL",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "XLA_FLAGS",
    "JAX_ENABLE_X64",
    "JAX_PLATFORMS",
)
# Several workers on one GPU: nobody takes all of its memory in advance.
_SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def connect(address: str | None, *, workers: int, held: contextlib.ExitStack) -> dict[str, Any]:
    """Uses the Ray of this process, or connects to one, or starts one.

    Args:
        address: Of a running Ray; by default that of the environment variable `RAY_ADDRESS`, if any.
        workers: How many actors will share its processors.
        held: Gives back, when it is closed, what was connected or started here.

    Returns:
        The options with which an actor is made, its environment among them.

    Raises:
        ImportError: Ray is not installed.
        OSError: Nothing answers at the address.
        ValueError: Ray has fewer processors than workers.
    """
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            'More than one worker needs Ray, which is not installed: pip install "l2zoo[ray]". '
            "One, workers=1, needs nothing."
        ) from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = address or os.environ.get("RAY_ADDRESS")
    if not ray.is_initialized():
        with sure_exits():  # Ray handles SIGTERM from now on
            if not address:
                _start(workers, held)
                return _options(_processors(), workers)
            _check_answers(address)
            held.callback(ray.shutdown)
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    processors = int(ray.cluster_resources().get("CPU", 0))
    if workers > processors:
        raise ValueError(
            f"`workers` must be at most {processors}, the processors that Ray has, got workers={workers}."
        )
    return _options(processors, workers)


def _check_answers(address: str) -> None:
    """Ray itself would try for ten minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except OSError as error:
            raise ConnectionError(
                f"No Ray answers at `address`={address!r} ({error}). Is it running, as `ray start --head` on "
                "that machine starts it, and is this machine let through?"
            ) from error


def _start(workers: int, held: contextlib.ExitStack) -> None:
    import ray
    from ray._private import ray_constants

    folder = held.enter_context(working_folder("l2zoo-ray-", of="ray"))
    held.callback(ray.shutdown)
    # New versions of Ray let in who knows a token, and would leave one in the home folder, where it changes
    # what `ray start` does afterwards.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    # Ray replaces 127.0.0.1 by the machine's own address and then listens on every one it has, unless it
    # believes that there is no cluster, as it does on macOS and Windows.
    believed, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)  # JAX's; Ray executes at once
            ray.init(
                "local",
                num_cpus=workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _node_ip_address="127.0.0.1",
                _temp_dir=folder,
                _system_config={"prestart_worker_first_driver": False},  # they would lack our environment
            )
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = believed


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _options(processors: int, workers: int) -> dict[str, Any]:
    """A processor, a share of the GPUs, and the environment of the driver."""
    import keras
    import ray

    gpus = ray.cluster_resources().get("GPU", 0)
    share = 1 / math.ceil(workers / gpus) if gpus else 0
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= dict.fromkeys(_THREADS, str(max(1, processors // workers)))
    environment |= {"KERAS_BACKEND": keras.backend.backend(), **(_SHARED_GPU if 0 < share < 1 else {})}
    return {
        "num_cpus": 1,
        "num_gpus": share,
        "scheduling_strategy": "SPREAD",
        "runtime_env": {"env_vars": environment},
    }
