"""What a server says of images over HTTP, as an ASGI application; who computes it is for the caller to say.

`door` lets clients in, `ray_serve` computes. Starlette comes with the extra `serve`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

from l2zoo.data.preprocessing import pixels
from l2zoo.inference.predictor import OF_IMAGES, Predictor
from l2zoo.inference.server.clients import Clients, Held, TooMuchError
from l2zoo.inference.server.decoding import Refusal

TYPES = tuple(f"image/{name.lower()}" for name in pixels.FORMATS)
FORM = "multipart/form-data"
PATIENCE = 10.0  # seconds within which whoever computes must say that it is there
TIMEOUT = 120.0  # seconds in which images must be decoded and answered
_PART = 2**16  # bytes that are sent at a time
_CLOSE = {"Connection": "close"}

Answer = bytes | Refusal
"""Of an image: JSON, or why there is none."""
Predict = Callable[[list[bytes], str], Awaitable[Refusal | list[Answer]]]


class Bounds(NamedTuple):
    """What a request may take.

    Attributes:
        bytes: Of a body, as it arrives.
        images: In a form.
        seconds: In which the body must have arrived.
    """

    bytes: int
    images: int
    seconds: float


def describe(predictor: Predictor) -> dict[str, Any]:
    """What is served: task, class names, meaning of the output, size of images, and the format that runs.

    Raises:
        ValueError: The predictor's task is none of images that are given, or no image file has as many
            channels as it takes.
    """
    if predictor.task not in OF_IMAGES:
        raise ValueError(
            f"The artifact must say what is in images that it is given, it is for {predictor.task}."
        )
    size = dict(zip(("height", "width", "channels"), predictor.image_shape, strict=True))
    if size["channels"] not in pixels.CHANNELS:
        raise ValueError(
            f"The artifact must take grey or coloured images, as files are, it takes {size['channels']} "
            "channels. Give it arrays, in Python: l2zoo.Predictor(...).predict(images)."
        )
    return {
        "task": predictor.task,
        "class_names": list(predictor.class_names),
        **({} if predictor.output_kind is None else predictor.output_kind.to_spec()),
        "input_size": size,
        "format": predictor.format,
    }


def build_application(
    about: dict[str, Any],
    *,
    predict: Predict,
    ready: Callable[[], Awaitable[Any]],
    bounds: Bounds,
    clients: Clients,
) -> Any:
    """The addresses: `/` describes and predicts, `/health` tells whether anyone is there to predict.

    A body of one of `TYPES` is one image, and the answer is that to it; a form holds several files, and the
    answer is a list in their order. What is refused is told as `{"error": ...}`.

    Args:
        about: What `GET /` says, for JSON.
        predict: Gives for each of some image files of a client an answer, or why there is none of any.
        ready: Returns once it is known that `predict` would be heard.
        bounds: Of a request.
        clients: Who count the bytes that each of them has here.

    Returns:
        A Starlette application.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def root(request: Request) -> Response | _InParts:
        if request.method != "POST":
            return JSONResponse(about)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (FORM, *TYPES):
            raise HTTPException(415, f"Content-Type must be {', '.join(TYPES)} or {FORM}, got {kind!r}.")
        client = request.client.host if request.client else ""
        stack = contextlib.ExitStack()
        with stack:
            held = stack.enter_context(clients.holding(client))
            with _as_refusals():
                files = await _read_files(request, kind == FORM, bounds, held)
                answer = _join(await _ask(predict, files, client), is_list=kind == FORM)
                held.add(len(answer))
            rest = stack.pop_all()  # given back when all is sent
        return _InParts(answer, rest)

    async def health(request: Request) -> Response:
        try:
            await asyncio.wait_for(ready(), PATIENCE)
        except TimeoutError:
            raise HTTPException(503, f"Nobody answered within {PATIENCE:g} seconds.") from None
        return JSONResponse({"status": "ok"})

    async def say_refusal(request: Request, error: Any) -> Response:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    async def say_failure(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": "The server has failed; its log tells more."}, 500)

    routes = [Route("/", root, methods=["GET", "POST"]), Route("/health", health)]
    return Starlette(routes=routes, exception_handlers={HTTPException: say_refusal, Exception: say_failure})


async def _read_files(request: Any, is_form: bool, bounds: Bounds, held: Held) -> list[bytes]:
    """The image files of a request, which count as held from their first byte on."""
    from starlette.datastructures import UploadFile
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request

    request = Request(request.scope, _count(request.receive, bounds.bytes, held))
    try:
        async with asyncio.timeout(bounds.seconds):
            if not is_form:
                return [await request.body()]
            async with request.form(max_files=bounds.images, max_fields=0) as form:
                given = [file for _, file in form.multi_items() if isinstance(file, UploadFile)]
                files = [await file.read() for file in given]
    except TimeoutError:
        reason = f"The body must arrive within {bounds.seconds:g} seconds. Send less at a time."
        raise HTTPException(408, reason, _CLOSE) from None
    except ClientDisconnect:  # nobody will hear it
        raise HTTPException(400, "The body must arrive whole, but the client has gone.") from None
    if not files:
        raise HTTPException(400, "The form must hold at least one image file, got none.")
    return files


def _count(receive: Callable[[], Awaitable[Any]], most: int, held: Held) -> Callable[[], Awaitable[Any]]:
    """Counts what arrives, whatever Content-Length says."""
    from starlette.exceptions import HTTPException

    async def receive_some() -> Any:
        message = await receive()
        size = len(message.get("body", b""))
        if held.total + size > most:
            raise HTTPException(413, f"The body must have at most {most:,} bytes. Send less at a time.")
        held.add(size)
        return message

    return receive_some


async def _ask(predict: Predict, files: list[bytes], client: str) -> list[Answer]:
    from starlette.exceptions import HTTPException

    try:
        async with asyncio.timeout(TIMEOUT):
            found = await predict(files, client)
    except TimeoutError:
        raise HTTPException(503, f"There was no answer within {TIMEOUT:g} seconds. Try again.") from None
    if isinstance(found, Refusal):
        raise HTTPException(found.status, found.reason)
    return found


def _join(answers: list[Answer], *, is_list: bool) -> bytes:
    from starlette.exceptions import HTTPException

    for number, answer in enumerate(answers):
        if isinstance(answer, Refusal):
            where = f"File {number} of the form: " if is_list else ""
            raise HTTPException(answer.status, where + answer.reason)
    parts = [answer for answer in answers if isinstance(answer, bytes)]
    return b"[" + b", ".join(parts) + b"]" if is_list else parts[0]


class _InParts:
    """A response in parts, each of which waits until the one before is on its way."""

    def __init__(self, answer: bytes, held: contextlib.ExitStack):
        self._answer, self._held = answer, held

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        length = str(len(self._answer)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        with self._held:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for start in range(0, len(self._answer), _PART):
                part = self._answer[start : start + _PART]
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


@contextlib.contextmanager
def _as_refusals() -> Iterator[None]:
    """What is said to a client that has too much here."""
    from starlette.exceptions import HTTPException

    try:
        yield
    except TooMuchError as error:
        raise HTTPException(error.status, error.reason, _CLOSE) from None
