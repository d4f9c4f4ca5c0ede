"""Where clients come in: Uvicorn, with a bound on what each of them may hold open, and for how long.

Uvicorn itself waits for the head of a request as long as it takes, and counts connections of everybody
together.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

from l2zoo.inference.server.clients import Clients, TooMuchError

HEAD = 10.0  # seconds in which the head of a request must have arrived, from the end of the one before
LINGER = 5.0  # seconds in which a client must take what it is sent before it is cut off
GRACE = 3  # seconds that requests have left when the door is closed
_START = 30.0


@contextlib.contextmanager
def open_door(
    application: Any,
    listening: socket.socket,
    *,
    clients: Clients,
    request_seconds: float,
    head: float = HEAD,
) -> Iterator[None]:
    """Answers requests in a thread as long as the block lasts.

    Args:
        application: An ASGI application.
        listening: Where clients connect; it is closed at the end.
        clients: Who count their connections.
        request_seconds: After which a request is cut off, from its head until its answer is taken.
        head: Seconds in which the head of a request must arrive.
    """
    import uvicorn

    config = uvicorn.Config(
        application,
        http=_connection_class(clients, head, request_seconds),
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="door", daemon=True)
    thread.start()
    try:
        _wait(server, thread)
        yield
    finally:
        server.should_exit = True
        thread.join(GRACE + LINGER)
        listening.close()


def _wait(server: Any, thread: threading.Thread) -> None:
    for _ in range(int(_START / 0.01)):
        if server.started:
            return
        thread.join(0.01)
        if not thread.is_alive():
            break
    raise RuntimeError("Uvicorn did not start; what it says of it stands above.")


def _connection_class(clients: Clients, head: float, request_seconds: float) -> type[asyncio.Protocol]:
    """Uvicorn's connection, which is counted and ends in time.

    Built on what h11 reads, as h11 bounds the head of a request; of Uvicorn's class the methods of
    `asyncio.Protocol` are extended, and `on_response_complete` and `send_400_response`.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Connection(H11Protocol):
        _timer: asyncio.TimerHandle | None = None
        _address: str | None = None  # as which it is counted

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            address = self.client[0] if self.client else ""
            try:
                clients.enter(address)
            except TooMuchError as error:
                self._refuse(error.status, error.reason)
                return
            self._address = address
            self._end_after(head, self._end_head)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._end_after(None)
            if self._address is not None:
                clients.leave(self._address)
                self._address = None

        def data_received(self, data: bytes) -> None:
            if not self.transport.is_closing():
                before = self.cycle
                super().data_received(data)
                if self.cycle is not before:
                    self._end_after(request_seconds, self.transport.abort)

        def on_response_complete(self) -> None:
            self._end_after(head, self._end_head)
            super().on_response_complete()  # which may begin with the next request
            if self.cycle is not None and not self.cycle.response_complete:
                self._end_after(request_seconds, self.transport.abort)
            if self.transport.is_closing():
                self._end_after(LINGER, self.transport.abort)

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, msg)

        def _end_head(self) -> None:
            self._refuse(408, f"The head of a request must arrive within {head:g} seconds.")

        def _refuse(self, status: int, reason: str) -> None:
            """Says why, whatever was asked, and closes the connection."""
            if self.transport.is_closing():
                return
            body = json.dumps({"error": reason}).encode()
            lines = (
                f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
                "Content-Type: application/json",
                f"Content-Length: {len(body)}",
                "Connection: close",
            )
            self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            self.transport.close()
            self._end_after(LINGER, self.transport.abort)

        def _end_after(self, seconds: float | None, end: Any = None) -> None:
            """What becomes of the connection then, unless something else is said before."""
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None if seconds is None else self.loop.call_later(seconds, end)

    return Connection
