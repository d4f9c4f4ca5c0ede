"""How many requests `l2zoo serve` answers with one replica and with two, and what a kill costs.

    python benchmarks/serving.py
    python benchmarks/serving.py --artifact FOLDER --requests 4000 --clients 32

Clients on this machine, a thread and a connection each, send one image a request and take their time from
the processors that serve. Each answer is compared with that of `Predictor`; what is not status 200 with that
answer has failed, and no client tries again. The servers with one replica and with two run at the same time
and take turns. Then, in the middle of as many requests, the process of a replica is killed (SIGKILL).
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import psutil
import typer
from PIL import Image

L2ZOO = Path(sys.executable).with_name("l2zoo")
SIDE, IMAGES = 64, 32


class Server(NamedTuple):
    """One that runs: its process and its port."""

    process: subprocess.Popen
    port: int

    def kill(self) -> None:
        """Kills the process of one replica."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if child.is_running() and "ServeReplica:default:Model" in " ".join(child.cmdline()):
                child.kill()
                return
        raise RuntimeError("There is no process of a replica.")


class Run(NamedTuple):
    """What came out of some requests."""

    seconds: float
    latencies: np.ndarray  # of all, in seconds
    failures: list[str]

    def __str__(self) -> str:
        p50, p99, slowest = np.percentile(self.latencies, [50, 99, 100]) * 1e3
        rate = len(self.latencies) / self.seconds
        return f"{rate:6.0f} requests/s, p50 {p50:6.1f} ms, p99 {p99:7.1f} ms, slowest {slowest:7.1f} ms"


def main(
    artifact: Annotated[
        Path | None, typer.Option(help="A classifier; by default a small CNN without training.")
    ] = None,
    requests: Annotated[int, typer.Option(help="In each round.")] = 2000,
    clients: Annotated[int, typer.Option(help="Requests at the same time.")] = 16,
    rounds: Annotated[int, typer.Option(help="Of each number of replicas.")] = 3,
    per_request: Annotated[
        int, typer.Option(help="Images that a request holds, 1 to 16.", min=1, max=16)
    ] = 1,
) -> None:
    """Measures, kills, and prints."""
    with ExitStack() as held:
        scratch = Path(held.enter_context(tempfile.TemporaryDirectory()))
        folder = artifact or export_cnn(scratch / "artifact")
        files = noise_files()
        wanted = predict_alone(folder, files)
        asks = [make_request(files, wanted, start, per_request) for start in range(IMAGES)]
        servers = {many: held.enter_context(serve(folder, many)) for many in (1, 2)}
        runs: dict[int, list[Run]] = {many: [] for many in servers}
        for number in range(rounds + 1):
            for many, server in servers.items():
                run = send_requests(server, asks, requests, clients)
                if number:  # the first round warms up
                    runs[many].append(run)
        print(f"\n{rounds} rounds of {requests} requests by {clients} clients, {os.cpu_count()} processors")
        print(f"Images in a request: {per_request}")
        for many, some in runs.items():
            for run in some:
                print(f"  {many} replica{'s' * (many > 1)}: {run}, {len(run.failures)} failed")
        for many, server in servers.items():
            run = send_requests(server, asks, requests, clients, kill=True)
            print(f"  Killed, {many} replica{'s' * (many > 1)}: {run}, {len(run.failures)} failed")
            for failure in sorted(set(run.failures)):
                print(f"    {run.failures.count(failure)} x {failure}")


def export_cnn(folder: Path) -> Path:
    """A small CNN as an artifact."""
    import l2zoo

    model = l2zoo.build_cnn((SIDE, SIDE, 3), num_classes=10)
    sample = np.random.default_rng(0).integers(0, 256, (16, SIDE, SIDE, 3), dtype=np.uint8)
    card = l2zoo.Card(task="classification")
    l2zoo.export(model, folder, sample=sample, formats=["tflite"], card=card)
    return folder


def noise_files() -> list[bytes]:
    """PNG files of noise."""
    rng = np.random.default_rng(1)
    files = []
    for _ in range(IMAGES):
        with io.BytesIO() as file:
            Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(file, "PNG")
            files.append(file.getvalue())
    return files


def predict_alone(folder: Path, files: list[bytes]) -> list[dict[str, float]]:
    """What `Predictor` says, and how long it takes alone."""
    from l2zoo import Predictor

    predictor = Predictor(folder)
    images = [Image.open(io.BytesIO(file)) for file in files]
    found = [probabilities(one.to_dict()) for one in predictor.predict(images)]
    times = []
    for file in files * 4:
        started = time.perf_counter()
        predictor.predict(Image.open(io.BytesIO(file)))
        times.append(time.perf_counter() - started)
    print(f"Predictor alone, decoding included: {np.median(times) * 1e3:.2f} ms an image")
    return found


def probabilities(answer: dict) -> dict[str, float]:
    """The probabilities of an answer by class."""
    return {one["name"]: one["probability"] for one in answer["classes"]}


def make_request(
    files: list[bytes], wanted: list[dict], start: int, many: int
) -> tuple[str, bytes, list[dict]]:
    """The type and the body of a request, and the answers."""
    numbers = [number % IMAGES for number in range(start, start + many)]
    if many == 1:
        return "image/png", files[start], [wanted[start]]
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n'
    body = b"".join(head + files[number] + b"\r\n" for number in numbers) + b"--x--\r\n"
    return "multipart/form-data; boundary=x", body, [wanted[number] for number in numbers]


@contextmanager
def serve(folder: Path, replicas: int) -> Iterator[Server]:
    """The command on a free port, until the block ends."""
    command = [str(L2ZOO), "serve", str(folder), "--port", "0", "--replicas", str(replicas)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
            seconds = time.perf_counter() - started
            print(f"{replicas} replica{'s' * (replicas > 1)} up after {seconds:.0f} s", flush=True)
            yield Server(process, port)
        finally:
            process.terminate()


def send_requests(
    server: Server,
    asks: list[tuple[str, bytes, list[dict]]],
    requests: int,
    clients: int,
    *,
    kill: bool = False,
) -> Run:
    """Sends the requests, and in their middle kills a replica, if it is to be killed."""
    numbers = iter(range(requests))
    lock = threading.Lock()
    latencies: list[float] = []
    failures: list[str] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while True:
            with lock:
                number = next(numbers, None)
                if number == requests // 2 and kill:
                    server.kill()
            if number is None:
                return connection.close()
            started = time.perf_counter()
            try:
                kind, question, wanted = asks[number % IMAGES]
                connection.request("POST", "/", question, {"Content-Type": kind})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    failures.append(f"status {answer.status}: {body[:80]!r}")
                    continue
                found = json.loads(body)
                found = [probabilities(one) for one in (found if isinstance(found, list) else [found])]
                if not all(are_close(*pair) for pair in zip(found, wanted, strict=True)):
                    failures.append("another answer")
            except (OSError, http.client.HTTPException) as error:
                failures.append(type(error).__name__)
                connection.close()
            finally:
                latencies.append(time.perf_counter() - started)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Run(time.perf_counter() - started, np.array(latencies), failures)


def are_close(one: dict[str, float], other: dict[str, float]) -> bool:
    """Whether probabilities are the same but for rounding."""
    return one.keys() == other.keys() and all(abs(one[name] - other[name]) < 2e-6 for name in one)


if __name__ == "__main__":
    typer.run(main)
