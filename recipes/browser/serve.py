"""Serves a page on which a classifier answers in the browser, by LiteRT.js: draw, or choose a picture.

    npm install --prefix recipes/browser     # once: LiteRT.js, 38 MB; the page itself downloads nothing
    python recipes/browser/serve.py --artifact runs/demo/artifact     # or a saved model's name, cnn_digits

The page reads `manifest.json` and `model.tflite` of an artifact that `l2zoo.export` wrote for classification;
pictures stay in the browser. Only this machine can reach it. For a CNN of 70,746 parameters on 8x8 digits, in
Chromium on 2 busy cores: 0.4 to 1 s from opening the page to the first answer, then 0.1 ms an answer; within
2.4e-7 of what LiteRT says in Python, on all 360 test images.
"""

from __future__ import annotations

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from l2zoo.artifacts.store import locations
from l2zoo.utils.scripts import run_script

HERE = Path(__file__).parent
LITERT = HERE / "node_modules/@litertjs"
LOOPBACK = "127.0.0.1"
PAGE = ("app", "bars", "batch", "classifier", "output_kind", "pad", "pictures", "pixels")  # the modules
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".tflite": "application/octet-stream",
    ".wasm": "application/wasm",  # any other type, and the browser compiles it only once all is there
}


def list_files(artifact: Path) -> dict[str, Path]:
    """Every address there is, and its file: what is not in this table cannot be asked for.

    Raises:
        FileNotFoundError: LiteRT.js is not installed, or the artifact has no manifest or no TFLite file.
    """
    for name in ("manifest.json", "model.tflite"):
        if not (artifact / name).is_file():
            raise FileNotFoundError(
                f"--artifact must be a folder that l2zoo.export wrote, got {str(artifact)!r} without {name}."
            )
    if not (LITERT / "core/dist/index.js").is_file():
        raise FileNotFoundError(f"LiteRT.js is not installed. Run: npm install --prefix {HERE}")
    return {
        "/": HERE / "index.html",
        "/style.css": HERE / "style.css",
        **{f"/{name}.js": HERE / f"{name}.js" for name in PAGE},
        **{f"/artifact/{name}": artifact / name for name in ("manifest.json", "model.tflite")},
        **{f"/litert/{name}/index.js": LITERT / name / "dist/index.js" for name in ("core", "wasm-utils")},
        **{f"/litert/wasm/{path.name}": path for path in sorted((LITERT / "core/wasm").glob("*.*"))},
    }


class Handler(SimpleHTTPRequestHandler):
    """Answers from the table of `list_files`, and to this machine's browsers only."""

    extensions_map = TYPES

    def __init__(self, *args: object, files: dict[str, Path]):
        self._files = files
        super().__init__(*args)

    def translate_path(self, path: str) -> str:
        return str(self._files.get(urlsplit(path).path, HERE / "no such address"))

    def send_head(self) -> Any:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in (LOOPBACK, "localhost"):  # a foreign name that was made to point here
            self.send_error(403, f"Open this page as {LOOPBACK} or localhost")
            return None
        return super().send_head()

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # the next artifact may have the same address
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_request(self, *_: object) -> None:
        """Says nothing of what went well."""


def main(
    artifact: Annotated[
        Path, typer.Option(help="Folder of an exported classifier, or the name of a saved model.")
    ] = Path("runs/demo/artifact"),
    port: Annotated[int, typer.Option(help="Of this machine; 0 takes a free one.", min=0, max=65535)] = 8000,
) -> None:
    """Serves the page until Ctrl-C."""
    handler = functools.partial(Handler, files=list_files(locations.find(artifact)))
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), handler)
    except OSError as error:
        raise OSError(f"Port {port} cannot be had ({error.strerror}). --port 0 takes a free one.") from error
    with server:
        print(f"Open http://{LOOPBACK}:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    run_script(main)
