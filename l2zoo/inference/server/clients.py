"""How much of a server each client has: connections, and bytes that wait to be read or sent."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple


class Shares(NamedTuple):
    """What one client may have at a time, and all of them together.

    Attributes:
        connections: Of a client.
        all_connections: Of everybody.
        bytes: Of bodies and answers of a client.
        all_bytes: Of everybody.
    """

    connections: int
    all_connections: int
    bytes: int
    all_bytes: int


class TooMuchError(Exception):
    """A client has as much as it may, or all have together: 429 or 503, and a sentence."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Clients:
    """What is held now, by address. Belongs to one event loop."""

    def __init__(self, shares: Shares):
        self.shares = shares
        self._connections: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def enter(self, client: str) -> None:
        """Counts a connection, until `leave`.

        Raises:
            TooMuchError: There are too many; it is not counted.
        """
        if self._connections[client] >= self.shares.connections:
            raise TooMuchError(
                429,
                f"A client may have {self.shares.connections} connections at a time. Close some, or wait.",
            )
        if self._connections.total() >= self.shares.all_connections:
            raise TooMuchError(503, "The server has as many connections as it may. Try again later.")
        self._connections[client] += 1

    def leave(self, client: str) -> None:
        """Uncounts a connection."""
        _take(self._connections, client, 1)

    @contextlib.contextmanager
    def holding(self, client: str) -> Iterator[Held]:
        """Counts the bytes of a request, as long as the block lasts."""
        held = Held(self, client)
        try:
            yield held
        finally:
            _take(self._bytes, client, held.total)

    def _add(self, client: str, size: int) -> None:
        if self._bytes[client] + size > self.shares.bytes:
            raise TooMuchError(
                429,
                f"The requests of a client may have {self.shares.bytes:,} bytes at a time, with what is "
                "answered. Send fewer at a time.",
            )
        if self._bytes.total() + size > self.shares.all_bytes:
            raise TooMuchError(503, "The server has as many requests as it may. Try again later.")
        self._bytes[client] += size


class Held:
    """What one request holds."""

    def __init__(self, clients: Clients, client: str):
        self._clients, self._client = clients, client
        self.total = 0

    def add(self, size: int) -> None:
        """Counts more bytes.

        Raises:
            TooMuchError: There are too many; these are not counted.
        """
        self._clients._add(self._client, size)
        self.total += size


def _take(counter: Counter[str], client: str, size: int) -> None:
    counter[client] -= size
    if counter[client] <= 0:
        del counter[client]  # or every address that ever came stays
