"""How clients of `l2zoo serve` fare beside others who attack it, and what the attacks cost the server.

    python benchmarks/attacks.py
    python benchmarks/attacks.py --seconds 60 --rounds 3 --only scans --only forms

Innocent clients on this machine, a thread and a connection each, send images of 64x64 and compare what comes
with what `Predictor` says. They take turns: some seconds alone, as many with all attackers, who come from
addresses of their own (127.0.0.2 and on, which Linux has; elsewhere they are one client with the innocent).
Attackers run in processes of their own at a low priority: they would have their own processors, and take what
is left of those that serve. Status 1 if any innocent request failed.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import multiprocessing
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import psutil
import typer
from PIL import Image

L2ZOO = Path(sys.executable).with_name("l2zoo")
SIDE = 64
PAUSE = 0.05  # seconds between two requests of an attacker
THREADS = 2  # of each kind of attacker that sends whole requests
UNFINISHED = 300  # connections


class Round(NamedTuple):
    """What innocent clients saw."""

    latencies: list[float]  # seconds
    health: list[float]
    failures: list[str]

    def __str__(self) -> str:
        p50, p99, slowest = np.percentile(self.latencies, [50, 99, 100]) * 1e3
        health = np.max(self.health) * 1e3
        return (
            f"{len(self.latencies):6} requests, p50 {p50:5.0f} ms, p99 {p99:6.0f} ms, slowest "
            f"{slowest:6.0f} ms, /health at most {health:5.0f} ms, {len(self.failures)} failed"
        )


def main(
    artifact: Annotated[
        Path | None, typer.Option(help="A segmenter; by default a small U-Net without training.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Of each round.", min=1, max=600)] = 20.0,
    rounds: Annotated[int, typer.Option(help="Alone, and as many attacked.", min=1, max=20)] = 2,
    clients: Annotated[int, typer.Option(help="Innocent ones.", min=1, max=32)] = 8,
    only: Annotated[list[str] | None, typer.Option(help="Kinds of attackers; all if not said.")] = None,
) -> None:
    """Serves, asks, attacks, and prints."""
    unknown = set(only or ()) - set(ATTACKS)
    if unknown:
        raise typer.BadParameter(f"must be among {', '.join(ATTACKS)}, got {', '.join(sorted(unknown))}.")
    kinds = only or list(ATTACKS)
    with contextlib.ExitStack() as held:
        folder = artifact or export_unet(Path(held.enter_context(tempfile.TemporaryDirectory())) / "artifact")
        asks = innocent_requests(folder)
        process, port = held.enter_context(serve(folder))
        ask_for(2, port, clients, asks)  # warms up
        failed = False
        for number in range(rounds):
            idle = memory_of(process)
            alone = ask_for(seconds, port, clients, asks)
            print(f"{number + 1}: alone     {alone}, {idle / 2**20:,.0f} MiB", flush=True)
            with attackers(kinds, port, seconds + 1) as counts, peak_memory(process) as peak:
                attacked = ask_for(seconds, port, clients, asks)
            ratio = np.percentile(attacked.latencies, 99) / np.percentile(alone.latencies, 99)
            print(
                f"{number + 1}: attacked  {attacked}, at most {max(peak) / 2**20:,.0f} MiB, p99 x {ratio:.1f}"
            )
            for failure, many in Counter(alone.failures + attacked.failures).items():
                print(f"     {many} x {failure}")
            for kind, outcomes in counts.items():
                print(
                    f"     {kind}: {', '.join(f'{many} x {what}' for what, many in outcomes.most_common(6))}"
                )
            failed = failed or bool(alone.failures or attacked.failures)
    raise typer.Exit(int(failed))


# ---- The server and its innocent clients -------------------------------------------------------------------


def export_unet(folder: Path) -> Path:
    """A small U-Net as an artifact."""
    import l2zoo

    model = l2zoo.build_unet((SIDE, SIDE, 3), num_classes=3, filters=(8, 16))
    sample = np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 3), dtype=np.uint8)
    l2zoo.export(model, folder, sample=sample, formats=["tflite"], card=l2zoo.Card(task="segmentation"))
    return folder


def innocent_requests(folder: Path) -> list[tuple[bytes, Any]]:
    """Image files, and what is to be said of them."""
    from l2zoo import Predictor

    rng = np.random.default_rng(1)
    images = [Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)) for _ in range(8)]
    answers = [one.to_dict() for one in Predictor(folder).predict(images)]
    return [(file_of(image), answer) for image, answer in zip(images, answers, strict=True)]


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """The command on a free port, until the block ends."""
    command = [str(L2ZOO), "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r":(\d+)/", process.stdout.readline())
            if not found:
                raise RuntimeError("The server did not start; what it says of it stands above.")
            yield psutil.Process(process.pid), int(found[1])
        finally:
            process.terminate()


def ask_for(seconds: float, port: int, clients: int, asks: list[tuple[bytes, Any]]) -> Round:
    """What innocent clients see for some seconds; one of them asks for /health."""
    found = Round([], [], [])
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < end:
            file, wanted = asks[number % len(asks)]
            number += 1
            started = time.monotonic()
            try:
                connection.request("POST", "/", file, {"Content-Type": "image/png"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    found.failures.append(f"status {answer.status}: {body[:100]!r}")
                elif json.loads(body) != wanted:
                    found.failures.append("another answer")
            except (OSError, http.client.HTTPException) as error:
                found.failures.append(repr(error))
                connection.close()
            found.latencies.append(time.monotonic() - started)
        connection.close()

    def look() -> None:
        while time.monotonic() < end:
            started = time.monotonic()
            try:
                with contextlib.closing(
                    http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                ) as connection:
                    connection.request("GET", "/health")
                    if connection.getresponse().status != 200:
                        found.failures.append("/health")
            except (OSError, http.client.HTTPException) as error:
                found.failures.append(f"/health: {error!r}")
            found.health.append(time.monotonic() - started)
            time.sleep(0.2)

    threads = [threading.Thread(target=work, args=[number]) for number in range(clients)]
    threads.append(threading.Thread(target=look))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def memory_of(process: psutil.Process) -> int:
    """Bytes that the server and all its processes have."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total


@contextlib.contextmanager
def peak_memory(process: psutil.Process) -> Iterator[list[int]]:
    """What `memory_of` says every so often, as long as the block lasts."""
    found, stop = [memory_of(process)], threading.Event()

    def watch() -> None:
        while not stop.wait(0.3):
            found.append(memory_of(process))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


# ---- Attackers ---------------------------------------------------------------------------------------------


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """An image file."""
    with io.BytesIO() as file:
        image.save(file, kind, **options)
        return file.getvalue()


def scans() -> tuple[str, bytes]:
    """A progressive JPEG file of 10,000 scans."""
    data = file_of(Image.new("RGB", (2000, 2000)), "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return "image/jpeg", data[:start] + data[start:end] * 10_000 + data[end:]


def runs() -> tuple[str, bytes]:
    """A BMP file of 4000x4000 with run lengths, of which each row is an end of line."""
    codes = b"\0\2\1\0\0\0" * 4000
    info = struct.pack("<IiiHHIIiiII", 40, 4000, 4000, 1, 8, 1, 0, 0, 0, 256, 0)
    head = b"BM" + struct.pack("<IHHI", 54 + 1024 + len(codes), 0, 0, 54 + 1024)
    return "image/bmp", head + info + bytes(1024) + codes


def form_of(file: bytes, many: int) -> tuple[str, bytes]:
    """A form that holds a file several times."""
    part = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + file + b"\r\n"
    return "multipart/form-data; boundary=x", part * many + b"--x--\r\n"


def forms() -> tuple[str, bytes]:
    """Sixteen black PNG files of 4000x4000."""
    return form_of(file_of(Image.new("1", (4000, 4000))), 16)


def large() -> tuple[str, bytes]:
    """Two PNG files of 4000x4000 with opacity, which are let in."""
    return form_of(file_of(Image.new("RGBA", (4000, 4000), (9, 9, 9, 9))), 2)


def masks() -> tuple[str, bytes]:
    """Eight images of 1000x1000, whose masks are answered in full."""
    return form_of(file_of(Image.new("1", (1000, 1000))), 8)


def parts() -> tuple[str, bytes]:
    """A JPEG file of two million segments."""
    return "image/jpeg", b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000_000


def send(kind: str, body: bytes, port: int, address: str, end: float) -> Counter[str]:
    """Sends the same again and again, by some threads; the kinds of what came back."""
    outcomes: Counter[str] = Counter()

    def work() -> None:
        while time.monotonic() < end:
            connection = http.client.HTTPConnection(
                "127.0.0.1", port, timeout=60, source_address=(address, 0)
            )
            try:
                connection.request("POST", "/", body, {"Content-Type": kind})
                answer = connection.getresponse()
                size = len(answer.read())
                outcomes[f"{answer.status}{f' ({size:,} bytes)' if answer.status == 200 else ''}"] += 1
            except (OSError, http.client.HTTPException) as error:
                outcomes[type(error).__name__] += 1
            finally:
                connection.close()
            time.sleep(PAUSE)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def hold(start: bytes, port: int, address: str, end: float) -> Counter[str]:
    """Keeps as many connections open as it can, on which it has sent the start of something."""
    outcomes: Counter[str] = Counter()
    opened: list[socket.socket] = []
    while time.monotonic() < end:
        if len(opened) < UNFINISHED:
            try:
                one = socket.create_connection(("127.0.0.1", port), 5, source_address=(address, 0))
                opened.append(one)
                one.sendall(start)
                outcomes["opened"] += 1
            except OSError as error:
                outcomes[type(error).__name__] += 1
            time.sleep(0.002)
            continue
        for one in opened:
            one.close()
        opened.clear()
        time.sleep(1)
    for one in opened:
        one.close()
    return outcomes


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 8000000\r\n"
ATTACKS: dict[str, Any] = {
    **{make.__name__: make for make in (scans, runs, forms, large, masks, parts)},
    "bodies": HEAD + b"\r\n" + b"x" * 100_000,
    "heads": HEAD,
    "silent": b"",
}


def attack(kind: str, port: int, address: str, seconds: float, queue: Any) -> None:
    """What an attacker's process does; it says when it begins."""
    if hasattr(os, "nice"):
        os.nice(10)
    what = ATTACKS[kind]
    body = what if isinstance(what, bytes) else what()
    queue.put((kind, None))
    end = time.monotonic() + seconds
    found = hold(body, port, address, end) if isinstance(body, bytes) else send(*body, port, address, end)
    queue.put((kind, found))


@contextlib.contextmanager
def attackers(kinds: list[str], port: int, seconds: float) -> Iterator[dict[str, Counter[str]]]:
    """A process of each kind for some seconds; afterwards what each of them saw is there."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    linux = sys.platform == "linux"
    processes = [
        context.Process(
            target=attack,
            args=(kind, port, f"127.0.0.{number + 2 if linux else 1}", seconds, queue),
            daemon=True,
        )
        for number, kind in enumerate(kinds)
    ]
    for process in processes:
        process.start()
    early = [queue.get(timeout=300) for _ in processes]
    found: dict[str, Counter[str]] = {}
    yield found
    rest = [queue.get(timeout=300) for _ in processes]
    found.update((kind, outcomes) for kind, outcomes in early + rest if outcomes is not None)
    for process in processes:
        process.join()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    typer.run(main)
