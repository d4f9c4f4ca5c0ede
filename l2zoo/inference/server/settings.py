"""What a server is told: options of a command, so that importing this is light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from l2zoo.inference.server.clients import Shares
    from l2zoo.inference.server.decoding import Limits

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Settings:
    """What a server lets its clients ask for; too much is told in JSON, with a status of 4xx."""

    max_batch: Annotated[int, typer.Option(help="Images computed together, at most.", min=1)] = 32
    max_bytes: Annotated[int, typer.Option(help="Of the body of a request.", min=1)] = 8 * 2**20
    max_pixels: Annotated[int, typer.Option(help="Of an image, height times width.", min=1)] = 16_000_000
    max_images: Annotated[int, typer.Option(help="In a request.", min=1)] = 16
    max_request_pixels: Annotated[
        int | None, typer.Option(help="Of all images of a request; twice those of one.", min=1)
    ] = None
    max_answer: Annotated[int, typer.Option(help="Bytes of the answer to a request.", min=1)] = 32 * 2**20
    decode_seconds: Annotated[
        float, typer.Option(help="For decoding the images of a request.", min=0.1, max=60)
    ] = 20.0
    decode_memory: Annotated[int, typer.Option(help="Bytes for that.", min=2**25)] = 2**30
    body_seconds: Annotated[
        float, typer.Option(help="In which the body of a request must have arrived.", min=0.1)
    ] = 30.0
    max_connections: Annotated[
        int, typer.Option(help="Of a client, which is an address: behind a proxy all are one.", min=1)
    ] = 64
    max_all_connections: Annotated[int, typer.Option(help="Of all clients.", min=1)] = 1024
    max_held: Annotated[
        int, typer.Option(help="Bytes of bodies and answers of a client at a time.", min=1)
    ] = 128 * 2**20
    max_all_held: Annotated[int, typer.Option(help="The same of all clients.", min=1)] = 2**30

    @property
    def limits(self) -> Limits:
        """What is decoded."""
        from l2zoo.inference.server.decoding import Limits

        both = 2 * self.max_pixels if self.max_request_pixels is None else self.max_request_pixels
        return Limits(self.max_pixels, both, self.decode_seconds, self.decode_memory)

    @property
    def shares(self) -> Shares:
        """What clients may hold."""
        from l2zoo.inference.server.clients import Shares

        return Shares(self.max_connections, self.max_all_connections, self.max_held, self.max_all_held)


DEFAULTS = Settings()
