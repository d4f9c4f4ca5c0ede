"""What each client has of a server, and what is left for the others."""

from __future__ import annotations

import contextlib

import pytest

from l2zoo.inference.server.clients import Clients, Shares, TooMuchError

SHARES = Shares(connections=2, all_connections=3, bytes=100, all_bytes=150)


def test_connections_are_counted_for_each_client_and_for_all():
    clients = Clients(SHARES)
    clients.enter("a")
    clients.enter("a")
    with pytest.raises(TooMuchError, match="A client may have 2 connections at a time") as error:
        clients.enter("a")
    assert error.value.status == 429
    clients.enter("b")
    with pytest.raises(TooMuchError, match="as many connections as it may") as error:
        clients.enter("c")
    assert error.value.status == 503
    clients.leave("a")
    clients.enter("c")


def test_bytes_are_counted_until_the_block_ends_however_it_ends():
    clients = Clients(SHARES)
    with clients.holding("a") as one, clients.holding("a") as two:
        one.add(60)
        two.add(40)
        with pytest.raises(TooMuchError, match="of a client may have 100 bytes at a time") as error:
            one.add(1)
        assert (error.value.status, one.total) == (429, 60)
        with clients.holding("b") as other:
            other.add(50)
            with pytest.raises(TooMuchError, match="as many requests as it may") as error:
                other.add(1)
            assert error.value.status == 503
        with contextlib.suppress(KeyError), clients.holding("b") as other:
            other.add(50)
            raise KeyError
        with clients.holding("b") as other:
            other.add(50)
    with clients.holding("a") as one:
        one.add(100)


def test_who_has_gone_is_forgotten():
    clients = Clients(SHARES)
    for number in range(100):
        with clients.holding(str(number)) as held:
            clients.enter(str(number))
            held.add(10)
        clients.leave(str(number))
    assert not clients._connections
    assert not clients._bytes
