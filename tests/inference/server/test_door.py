"""Connections: how many a client may have, how long they may take, and that all that is said is JSON."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from l2zoo.inference.server import app, door
from l2zoo.inference.server.clients import Clients, Shares
from l2zoo.inference.server.decoding import Refusal

pytest.importorskip("uvicorn", reason='needs pip install "l2zoo[serve]"')
pytest.importorskip("python_multipart", reason='needs pip install "l2zoo[serve]"')

SHARES = Shares(connections=5, all_connections=50, bytes=10**6, all_bytes=10**7)
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 100\r\n\r\n"
other_addresses = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is there on Linux alone")


async def predict(files: list[bytes], client: str) -> Refusal | list[app.Answer]:
    if files == [b"large"]:
        return [b"[" + b"1," * 10**7 + b"1]"]
    return [json.dumps([file.decode(), client]).encode() for file in files]


async def ready() -> None:
    return None


@contextlib.contextmanager
def opened(*, head: float = 60, seconds: float = 60, body: float = 60, shares=SHARES) -> Iterator[int]:
    """The port of a server with the given patience."""
    clients = Clients(shares)
    bounds = app.Bounds(bytes=1000, images=3, seconds=body)
    application = app.build_application({}, predict=predict, ready=ready, bounds=bounds, clients=clients)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    with door.open_door(application, listening, clients=clients, request_seconds=seconds, head=head):
        yield port


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(address, 0))


def told(port: int, method: str = "GET", body: bytes | None = None, address: str = "127.0.0.1"):
    source = (address, 0)
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=source)
    ) as one:
        one.request(method, "/" if body is not None else "/health", body, {"Content-Type": "image/png"})
        answer = one.getresponse()
        assert answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(answer.read())


def rest_of(connection: socket.socket) -> tuple[int, dict]:
    """Status and JSON of what comes until the other side closes."""
    with connection, connection.makefile("rb") as stream:
        head, _, body = stream.read().partition(b"\r\n\r\n")
    assert b"application/json" in head.lower()
    return int(head.split()[1]), json.loads(body)


@other_addresses
def test_unfinished_bodies_of_one_client_do_not_keep_others_out():
    with opened() as port, contextlib.ExitStack() as held:
        unfinished = [held.enter_context(connect(port, "127.0.0.2")) for _ in range(40)]
        for one in unfinished:
            with contextlib.suppress(OSError):  # it is closed already
                one.sendall(HEAD + b"x")
        assert told(port) == (200, {"status": "ok"})
        assert told(port, "POST", b"me") == (200, ["me", "127.0.0.1"])
        status, refused = rest_of(connect(port, "127.0.0.2"))
        assert (status, list(refused)) == (429, ["error"])
        assert "may have 5 connections at a time" in refused["error"]
        for one in unfinished:
            one.close()
        end = time.monotonic() + 60
        while told_or_refused(port, "127.0.0.2") != 200:  # once it is noticed
            assert time.monotonic() < end


def told_or_refused(port: int, address: str) -> int:
    try:
        return told(port, address=address)[0]
    except (OSError, http.client.HTTPException):
        return 0


def test_a_body_that_does_not_arrive_is_told_so_in_time():
    with opened(body=0.3) as port:
        one = connect(port)
        one.sendall(HEAD + b"x")
        status, refused = rest_of(one)
        assert (status, refused) == (
            408, {"error": "The body must arrive within 0.3 seconds. Send less at a time."}
        )  # fmt: skip
        assert told(port, "POST", b"me")[0] == 200


@pytest.mark.parametrize("sent", [b"", b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_head_that_does_not_arrive_is_told_so_in_time(sent):
    with opened(head=0.3) as port:
        one = connect(port)
        one.sendall(sent)
        status, refused = rest_of(one)
        assert (status, refused) == (408, {"error": "The head of a request must arrive within 0.3 seconds."})


@pytest.mark.slow
def test_the_head_of_the_next_request_has_its_own_time():
    with opened(head=0.5) as port, connect(port) as one:
        for _ in range(4):
            time.sleep(0.2)
            one.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += one.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")
        one.sendall(b"GET /health")
        assert rest_of(one)[0] == 408


@pytest.mark.slow
def test_who_does_not_take_the_answer_is_cut_off(monkeypatch):
    monkeypatch.setattr(door, "LINGER", 0.2)
    with opened(seconds=1.0) as port, connect(port) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall(HEAD.replace(b"100", b"5") + b"large")
        time.sleep(2.5)  # of which it reads nothing
        received = 0
        with contextlib.suppress(ConnectionError):
            while part := one.recv(2**20):
                received += len(part)
        assert received < 2 * 10**7
        assert told(port)[0] == 200


@pytest.mark.parametrize(
    "sent",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 10**5],
)
def test_what_is_no_http_is_answered_in_json(sent):
    with opened() as port:
        one = connect(port)
        one.sendall(sent)
        assert rest_of(one) == (400, {"error": "Invalid HTTP request received."})


def test_bytes_of_a_client_are_counted_over_its_requests():
    with opened(shares=SHARES._replace(bytes=150)) as port, connect(port) as one:
        one.sendall(HEAD + b"x" * 99)
        end = time.monotonic() + 60
        while (answer := told(port, "POST", b"y" * 60))[0] != 429:  # once the first has arrived
            assert time.monotonic() < end
        assert "may have 150 bytes at a time" in answer[1]["error"]
        one.sendall(b"x")
        assert one.recv(100).startswith((b"HTTP/1.1 200", b"HTTP/1.1 429"))
    with opened() as port:
        status, refused = told(port, "POST", b"z" * 1001)
        assert (status, "at most 1,000 bytes" in refused["error"]) == (413, True)


def test_what_fails_is_told_in_json_and_logged(caplog):
    with opened() as port:
        assert told(port, "POST", b"\xff") == (500, {"error": "The server has failed; its log tells more."})
    assert "UnicodeDecodeError" in caplog.text


def test_an_answer_that_never_comes_is_told_so(monkeypatch):
    async def wait(files: list[bytes], client: str) -> list[app.Answer]:
        await asyncio.sleep(1000)
        return []

    monkeypatch.setattr(app, "TIMEOUT", 0.2)
    monkeypatch.setattr(sys.modules[__name__], "predict", wait)
    with opened() as port:
        assert told(port, "POST", b"x") == (
            503,
            {"error": "There was no answer within 0.2 seconds. Try again."},
        )


@pytest.mark.slow
def test_the_door_is_closed_with_the_block_whoever_waits():
    with opened() as port:
        one = connect(port)
        one.sendall(HEAD)
        started = time.monotonic()
    assert time.monotonic() - started < 30
    one.close()
    with pytest.raises(ConnectionRefusedError):
        connect(port)
