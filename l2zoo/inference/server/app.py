"""What a server says of images over HTTP, as an ASGI application; who computes it is for the caller to say.

`ray_serve` runs it. Starlette, which the extra `serve` brings along, does the protocol.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from l2zoo.data import pixels
from l2zoo.inference.predictor import OF_IMAGES, Predictor
from l2zoo.inference.server import uploads

TYPES = tuple(f"image/{name.lower()}" for name in pixels.FORMATS)
FORM = "multipart/form-data"
PATIENCE = 10.0  # seconds within which whoever computes must say that it is there

Predict = Callable[[list[bytes]], Awaitable[list[uploads.Answer]]]


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
    (spec,) = json.loads((predictor.folder / "manifest.json").read_text())["inputs"].values()
    size = dict(zip(("height", "width", "channels"), spec["shape"][1:], strict=True))
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
    max_bytes: int,
    max_images: int,
) -> Any:
    """The addresses: `/` describes and predicts, `/health` tells whether anyone is there to predict.

    A body of one of `TYPES` is one image, and the answer is that to it; a form holds several files, and the
    answer is a list in their order. What is refused is told as `{"error": ...}`.

    Args:
        about: What `GET /` says, for JSON.
        predict: Gives for each of some image files a status and JSON, as `uploads.predict_files` does.
        ready: Returns once it is known that `predict` would be heard.
        max_bytes: Of a request's body, as it arrives.
        max_images: In a form.

    Returns:
        A Starlette application.
    """
    from starlette.applications import Starlette
    from starlette.datastructures import UploadFile
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def root(request: Request) -> Response:
        if request.method != "POST":
            return JSONResponse(about)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (FORM, *TYPES):
            raise HTTPException(415, f"Content-Type must be {', '.join(TYPES)} or {FORM}, got {kind!r}.")
        request = Request(request.scope, limit_body(request.receive))
        if kind != FORM:
            ((status, said),) = await predict([await request.body()])
            return Response(said, status, media_type="application/json")
        async with request.form(max_files=max_images, max_fields=0) as form:
            given = [file for _, file in form.multi_items() if isinstance(file, UploadFile)]
            files = [await file.read() for file in given]
        if not files:
            raise HTTPException(400, "The form must hold at least one image file, got none.")
        found = await predict(files)
        for number, (status, said) in enumerate(found):
            if status != uploads.OK:
                raise HTTPException(status, f"File {number} of the form: {json.loads(said)['error']}")
        return Response(b"[" + b", ".join(said for _, said in found) + b"]", media_type="application/json")

    def limit_body(receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """Counts what arrives, whatever Content-Length says."""
        total = 0

        async def receive_some() -> Any:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > max_bytes:
                raise HTTPException(
                    413, f"The body must have at most {max_bytes:,} bytes. Send less at a time."
                )
            return message

        return receive_some

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
