"""What a test leaves open fails that test and no other."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.processes import run

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow

LEAKING = """
import socket, subprocess, sys, tempfile, threading
import pytest

kept = []
SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]

def test_process():
    kept.append(subprocess.Popen(SLEEP))

def test_pipe():
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as child:
        kept.append(open(child.stdout.fileno(), closefd=False))
    kept.append(subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE))
    kept[-1].wait()

def test_file(tmp_path):
    kept.append(open(tmp_path / "notes", "w"))

def test_forgotten_file(tmp_path):
    cycle = [open(tmp_path / "notes", "w")]
    cycle.append(cycle)

def test_socket():
    kept.append(socket.create_server(("127.0.0.1", 0)))

def test_thread():
    threading.Thread(target=threading.Event().wait, args=[3]).start()

def test_folder():
    tempfile.mkdtemp(prefix="l2zoo-data-")

@pytest.fixture(scope="module")
def careless():
    kept.append(tempfile.TemporaryFile())

def test_last_of_a_module(request):
    request.getfixturevalue("careless")
"""

CLEAN = """
import socket, subprocess, sys, tempfile, threading
import pytest

SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]

@pytest.fixture(scope="session")
def served():
    with socket.create_server(("127.0.0.1", 0)), tempfile.TemporaryDirectory(prefix="l2zoo-"):
        yield True

@pytest.fixture(scope="module")
def child():
    with subprocess.Popen(SLEEP) as child:
        yield child
        child.kill()

def test_nothing():
    pass

def test_a_fixture_asked_for_in_the_midst(request):
    assert request.getfixturevalue("served") and request.getfixturevalue("child")

def test_its_second_use(served, child):
    pass

def test_a_test_that_tidies_up(tmp_path):
    late = threading.Timer(0.2, print)
    late.start()
    with open(tmp_path / "notes", "w"), socket.socket(), tempfile.TemporaryDirectory(prefix="l2zoo-"):
        assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of the tests above, under our conftest."""
    folder = tmp_path_factory.mktemp("leaks")
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (folder / "conftest.py").write_text(
        (ROOT / "tests/conftest.py").read_text().replace("PATIENCE = 20.0", "PATIENCE = 0.3")
    )
    (folder / "test_a.py").write_text(LEAKING)
    (folder / "test_b.py").write_text(CLEAN)
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--rootdir", folder, folder]
    return run(command, cwd=folder, env={**os.environ, "COLUMNS": "250"}).stdout


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("process", "process"),
        ("pipe", "pipe:"),
        ("file", "notes"),
        ("socket", "socket:"),
        ("thread", "thread 'Thread-"),
        ("folder", "folder l2zoo-data-"),
        ("last_of_a_module", "file"),
    ],
)
def test_what_a_test_leaves_open_fails_that_test(said: str, name: str, what: str) -> None:
    assert re.search(rf"ERROR test_a.py::test_{name} - Failed: Left open: .*{what}.*\.$", said, re.M), said


def test_a_file_that_only_the_collector_closes_fails_that_test(said: str) -> None:
    assert re.search(r"ERROR test_a.py::test_forgotten_file - .*(Unraisable|ResourceWarning)", said), said


def test_who_tidies_up_passes_and_nobody_pays_for_others(said: str) -> None:
    assert re.search(r"12 passed, 8 errors", said), said
