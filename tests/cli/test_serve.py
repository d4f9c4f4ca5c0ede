"""The command that serves an artifact: what it says over HTTP is what `Predictor` says in Python."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pytest
from PIL import Image

from l2zoo import Predictor
from tests.hostile_images import bmp_of_run_lengths, jpeg_of_scans, of_parts
from tests.processes import L2ZOO, PATIENCE, Process, run, running, until
from tests.signing_keys import key_pair

ATTACKS = Path(__file__).parents[2] / "benchmarks/attacks.py"
MAX_BYTES, MAX_PIXELS, MAX_IMAGES = 100_000, 10_000, 5
REPLICAS = 2
BOUNDARY = "abc"
FORM = f"multipart/form-data; boundary={BOUNDARY}"

pytestmark = [
    pytest.mark.slow,
    # keras/src/backend/tensorflow/core.py: `np.array(variable)` on save.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]


class Server(NamedTuple):
    process: Process
    port: int

    def told(self, method, path, body=None, kind=None, **headers) -> tuple[int, object]:
        """Status and JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named | ({"Content-Type": kind} if kind else {}))
        answer = connection.getresponse()
        assert answer.headers["Content-Type"] == "application/json"
        status, content = answer.status, answer.read()
        connection.close()
        return status, json.loads(content)

    def replicas(self) -> list[psutil.Process]:
        """The processes that predict, once all of them are there."""

        def those_there() -> list[psutil.Process]:
            found = []
            for each in self.process.family():
                with contextlib.suppress(psutil.NoSuchProcess):  # it ended while it was looked at
                    if "default:Model" in " ".join(each.cmdline()):
                        found.append(each)
            return found if len(found) == REPLICAS else []

        return until(those_there, what=f"start {REPLICAS} replicas", of=self.process)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory) -> Path:
    """8x8 colour images to 3 classes, with random weights."""
    import keras

    import l2zoo

    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            keras.layers.Flatten(),
            keras.layers.Dense(
                3, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(seed=0)
            ),
        ]
    )
    folder = tmp_path_factory.mktemp("served") / "tiny"
    sample = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    card = l2zoo.Card(task="classification", class_names=["cat", "dog", "owl"])
    l2zoo.export(model, folder, sample=sample, formats=["tflite"], card=card)
    return folder


@pytest.fixture(scope="module")
def server(artifact) -> Iterator[Server]:
    limits = ["--max-bytes", MAX_BYTES, "--max-pixels", MAX_PIXELS, "--max-images", MAX_IMAGES]
    with serving(artifact, "--max-batch", 4, "--replicas", REPLICAS, *limits) as found:
        yield found


@contextlib.contextmanager
def serving(artifact: Path, *options: object) -> Iterator[Server]:
    pytest.importorskip("ray.serve", reason='needs pip install "l2zoo[serve]"')
    command = [L2ZOO, "serve", artifact, "--port", 0, *options]
    with running(command, start_new_session=True) as process:
        yield Server(process, int(process.line(r"http://127.0.0.1:(\d+)/")[1]))


def file_of(image: np.ndarray, kind: str = "PNG") -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(image).save(file, kind)
        return file.getvalue()


def images(many: int, *shape: int, seed: int = 1) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (many, *shape), dtype=np.uint8))


def form(files: list[bytes], *, disposition: str = 'form-data; name="x"; filename="x"') -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
    return b"".join(head + file + b"\r\n" for file in files) + f"--{BOUNDARY}--\r\n".encode()


def assert_same(told: dict, result) -> None:
    """All numbers to 1e-6, and they are rounded to 6 digits."""
    wanted = result.to_dict()
    assert told["class_name"] == wanted["class_name"]
    assert [one["name"] for one in told["classes"]] == [one["name"] for one in wanted["classes"]]
    numbers = [[one["probability"] for one in answer["classes"]] for answer in (told, wanted)]
    np.testing.assert_allclose(*numbers, rtol=0, atol=1.001e-6)


def test_the_server_says_what_it_serves_and_that_it_is_there(server):
    size = {"height": 8, "width": 8, "channels": 3}
    names = ["cat", "dog", "owl"]
    about = {"task": "classification", "class_names": names, "kind": "probabilities"}
    about |= {"input_size": size, "format": "tflite"}
    assert server.told("GET", "/") == (200, about)
    assert server.told("GET", "/health") == (200, {"status": "ok"})


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_an_image_is_answered_as_in_python(server, artifact, kind):
    file = file_of(images(1, 20, 30, 3)[0], kind)
    status, told = server.told("POST", "/", file, f"image/{kind.lower()}; anything")
    assert status == 200
    assert_same(told, Predictor(artifact).predict(Image.open(io.BytesIO(file)))[0])


def test_several_images_are_answered_in_their_order(server, artifact):
    given = [*images(3, 8, 8, 3), *images(2, 9, 7, 3)]  # more than fit into a batch
    status, told = server.told("POST", "/", form([file_of(image) for image in given]), FORM)
    assert status == 200
    assert len(told) == len(given)
    for one, result in zip(told, Predictor(artifact).predict(given), strict=True):
        assert_same(one, result)


def test_of_many_requests_at_the_same_time_each_has_its_own_answer(server, artifact):
    given = images(48, 8, 8, 3, seed=2)
    files = [file_of(image) for image in given]
    files[5::8] = [b"no image"] * len(files[5::8])  # which the others do not notice
    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(lambda file: server.told("POST", "/", file, "image/png"), files))
    results = Predictor(artifact).predict(given)
    for number, ((status, answer), result) in enumerate(zip(told, results, strict=True)):
        assert status == (400 if number % 8 == 5 else 200)
        if status == 200:
            assert_same(answer, result)


GOOD = file_of(images(1, 8, 8, 3)[0])


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status", "reason"),
    [
        ("POST", "/", b"no image", "image/png", 400, "is not a PNG, JPEG, WebP, BMP or GIF image"),
        ("POST", "/", b"", "image/png", 400, "is not a PNG"),
        ("POST", "/", file_of(images(1, 8, 8, 3)[0])[:-60], "image/png", 400, "cannot be decoded"),
        ("POST", "/", file_of(images(1, 8, 8)[0], "TIFF"), "image/png", 400, "is not a PNG"),
        ("POST", "/", form([GOOD, b"no image"]), FORM, 400, "File 1 of the form: The image is not a PNG"),
        ("POST", "/", form([]), FORM, 400, "at least one image file"),
        ("POST", "/", form([b"x"], disposition='form-data; name="x"'), FORM, 400, "Too many fields"),
        ("POST", "/", form([GOOD]), "multipart/form-data", 400, "boundary"),
        ("POST", "/", GOOD, FORM, 400, "multipart"),
        ("POST", "/", form([GOOD] * (MAX_IMAGES + 1)), FORM, 400, "Too many files"),
        ("POST", "/", b"x" * (MAX_BYTES + 1), "image/png", 413, "at most 100,000 bytes"),
        ("POST", "/", b"x" * (200 * MAX_BYTES), "image/png", 413, "at most 100,000 bytes"),
        ("POST", "/", form([b"x" * MAX_BYTES]), FORM, 413, "at most 100,000 bytes"),
        ("POST", "/", (b"x" * 1000 for _ in range(200)), "image/png", 413, "at most 100,000 bytes"),
        ("POST", "/", file_of(np.zeros((101, 100), np.uint8)), "image/png", 413, "at most 10,000 pixels"),
        ("POST", "/", file_of(np.zeros((20_000, 10_000), bool)), "image/png", 413, "at most 10,000 pixels"),
        ("POST", "/", form([file_of(np.zeros((90, 100), bool))] * 3), FORM, 413, "20,000 pixels together"),
        ("POST", "/", jpeg_of_scans(500, side=90), "image/jpeg", 400, "has more than 100 scans"),
        ("POST", "/", bmp_of_run_lengths(100, 100, codes=b""), "image/bmp", 400, "cannot be decoded"),
        ("POST", "/", of_parts("JPEG", 20_000), "image/jpeg", 400, "has more than 10,000 parts"),
        ("POST", "/", GOOD, "image/tiff", 415, "Content-Type must be image/png"),
        ("POST", "/", GOOD, None, 415, "Content-Type must be image/png"),
        ("GET", "/../", None, None, 404, "Not Found"),
        ("POST", "/model.tflite", GOOD, "image/png", 404, "Not Found"),
        ("PUT", "/", GOOD, "image/png", 405, "Method Not Allowed"),
        ("POST", "/health", GOOD, "image/png", 405, "Method Not Allowed"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_the_callers_to_hear(server, method, path, body, kind, status, reason):
    found, told = server.told(method, path, body, kind)
    assert (found, list(told)) == (status, ["error"])
    assert reason in told["error"]
    assert "Traceback" not in told["error"]
    assert "0x" not in told["error"]


def test_a_body_is_counted_whatever_its_length_is_said_to_be(server):
    too_much = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 999999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(too_much + b"x" * 2 * MAX_BYTES)
        assert connection.recv(20).startswith(b"HTTP/1.1 413")
    too_little = too_much.replace(b"999999999", b"20") + GOOD[:20] + b"and the rest is no request"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(too_little)
        assert connection.recv(20).startswith(b"HTTP/1.1 400")


def test_no_damaged_file_is_a_fault_of_the_server(server):
    rng = np.random.default_rng(0)
    files = []
    for kind in ("PNG", "JPEG", "BMP", "GIF", "WEBP"):
        whole = file_of(images(1, 30, 20, 3)[0], kind)
        for _ in range(40):
            damaged = bytearray(whole)
            for place in rng.integers(0, min(len(whole), 200), 3):
                damaged[place] = rng.integers(256)
            files.append(bytes(damaged))
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda file: server.told("POST", "/", file, "image/png")[0], files))
    assert set(told) <= {200, 400, 413}
    assert server.told("GET", "/health")[0] == 200


def test_no_other_machine_can_reach_any_part_of_it(server):
    listening = [
        (process.name(), connection.laddr.ip)
        for process in server.process.family()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 3
    assert {ip.removeprefix("::ffff:") for _, ip in listening} <= {"127.0.0.1", "::1"}, listening


@pytest.mark.parametrize("die", range(1, REPLICAS + 1))  # of all, none is left to take over at once
def test_what_a_replica_was_asked_when_it_died_another_answers(server, artifact, die):
    given = images(40, 8, 8, 3, seed=3)
    doomed = server.replicas()[:die]
    files = [file_of(image) for image in given]

    def told(number: int) -> tuple[int, object]:
        if number == 20:
            for replica in doomed:
                replica.kill()
        return server.told("POST", "/", files[number], "image/png")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(told, range(len(given))))
    for (status, answer), result in zip(answers, Predictor(artifact).predict(given), strict=True):
        assert status == 200
        assert_same(answer, result)


def test_ctrl_c_ends_all_of_it(server):  # the last test of this server
    everyone = server.process.family()
    os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does
    done = server.process.outcome()
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert psutil.wait_procs(everyone, timeout=PATIENCE)[1] == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)


@pytest.mark.skipif(sys.platform != "linux", reason="nobody else says who has files open")
@pytest.mark.usefixtures("hears_hangups")
@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGHUP, marks=pytest.mark.sweep), signal.SIGKILL],
    ids=lambda number: number.name,
)
def test_nothing_of_it_is_left_ten_seconds_after_it_was_ended(artifact, number):
    with serving(artifact) as server:
        everyone = server.process.family()
        folder = server.process.folder("l2zoo-serve-")
        assert folder is not None
        server.process.send_signal(number)
        assert psutil.wait_procs(everyone, timeout=10)[1] == []
        assert not folder.exists()
        assert "Traceback" not in server.process.outcome().stderr


@pytest.mark.sweep  # a benchmark
def test_no_innocent_request_fails_beside_attackers():
    """A short run of the benchmark, which ends with status 1 where one fails."""
    pytest.importorskip("ray.serve", reason='needs pip install "l2zoo[serve]"')
    done = run([sys.executable, ATTACKS, "--seconds", 5, "--rounds", 1, "--clients", 4])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("0 failed") == 2
    for refused in ("scans: .* x 400", "runs: .* x 400", "forms: .* x 413", "bodies: .* x opened"):
        assert re.search(refused, done.stdout), done.stdout
    assert not re.search("x 500", done.stdout), done.stdout


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["no/such/artifact"], 2, "'no/such/artifact' is no artifact's folder and no saved model"),
        (["cnn_digits", "--format", "onnx"], 2, "must be one of auto, tflite"),
        (["cnn_digits", "--max-pixels", 10**9], 1, "--max-pixels must be at most 89478485"),
        (["cnn_digits", "--port", "{port}"], 1, "127.0.0.1:{port} cannot be had"),
    ],
)
def test_what_cannot_be_served_is_said_at_the_start(l2zoo, monkeypatch, options, status, message):
    pytest.importorskip("ray.serve", reason='needs pip install "l2zoo[serve]"')
    monkeypatch.setattr("l2zoo.cli.serve.end_by_signals", lambda: None)  # the tests' process goes on
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = l2zoo("serve", *(str(option).format(port=port) for option in options))
    assert (said.status, said.out) == (status, "")
    assert message.format(port=port) in " ".join(said.err.split())


def test_only_what_the_key_signed_is_served(artifact, l2zoo, tmp_path):
    (mine, key), (_, other) = key_pair(tmp_path, "mine"), key_pair(tmp_path, "other")
    signed = tmp_path / "signed"
    shutil.copytree(artifact, signed)
    assert l2zoo("sign", signed, "--key", mine).status == 0
    for folder, public, words in ((signed, other, "another key signed it"), (artifact, key, "not signed")):
        refused = l2zoo("serve", folder, "--port", 0, "--public-key", public)
        assert (refused.status, refused.out) == (1, "")
        assert words in " ".join(refused.err.split())
    with serving(signed, "--public-key", key) as server:
        status, told = server.told("POST", "/", file_of(images(1, 8, 8, 3)[0]), "image/png")
    assert status == 200
    assert_same(told, Predictor(signed, public_key=key).predict(images(1, 8, 8, 3))[0])
