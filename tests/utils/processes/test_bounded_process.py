"""Calls in a process of its own: they end in time, and what comes back is data."""

from __future__ import annotations

import gc
import json
import math
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2zoo.utils.processes import bounded_process
from l2zoo.utils.processes.bounded_process import BoundedProcess
from tests.processes import running, until

MODULE = "tests.utils.in_child"
LONG = 300.0  # seconds that no call here takes
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")


@pytest.fixture(scope="module")
def echo():
    with BoundedProcess(f"{MODULE}:echo", seconds=LONG) as process:
        process()  # which starts it
        yield process


def test_plain_values_and_arrays_arrive_as_they_are(echo):
    plain = [
        None,
        True,
        -3,
        2**70,
        0.1,
        math.inf,
        "ä\ud800",
        b"\x00\xff",
        [1, [2.5, {}]],
        {"a": {"b": [b""]}},
    ]
    assert echo(*plain, key=[1]) == [*plain, {"key": [1]}]
    assert math.isnan(echo(math.nan)[0])
    assert echo((1, 2), np.float32(0.5), np.int64(7), np.True_) == [[1, 2], 0.5, 7, True]
    for dtype in ("?", "u1", "i8", ">i4", "f2", "f4", "f8"):
        for shape in ((), (0, 3), (2, 3), (2, 1, 2)):
            sent = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
            (found,) = echo(sent.T)
            np.testing.assert_array_equal(found, sent.T)
            assert (found.shape, found.dtype.kind, found.flags.writeable) == (
                sent.T.shape,
                sent.dtype.kind,
                True,
            )
    two, one = echo([np.arange(3), b"between"], {"x": np.ones(2)})
    assert (two[0].tolist(), two[1], one["x"].tolist()) == ([0, 1, 2], b"between", [1, 1])


def test_it_is_one_process_over_many_calls_and_threads_take_turns(echo):
    assert echo(0) == [0]
    before = echo.pid
    assert before not in (None, os.getpid())
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(echo, range(200))) == [[number] for number in range(200)]
    assert echo.pid == before


def test_what_would_not_be_data_is_refused_over_there(echo):
    with pytest.raises(TypeError, match="returns plain values and arrays, got complex"):
        echo(1j)
    with pytest.raises(TypeError, match="got ndarray"):
        echo(np.array([object()]))
    with pytest.raises(TypeError, match="keys are texts alone"):
        echo({1: 2})
    assert echo("and goes on") == ["and goes on"]


@pytest.mark.parametrize(
    ("kind", "found", "words"),
    [
        ("OSError", OSError, "^what happened$"),
        ("UnicodeError", ValueError, "^what happened$"),  # the nearest of the common ones
        ("KeyError", RuntimeError, "^KeyError: 'what happened'$"),
    ],
)
def test_errors_of_the_function_are_raised_here(kind, found, words):
    with BoundedProcess(f"{MODULE}:raise_error", seconds=LONG) as process, pytest.raises(found, match=words):
        process(kind, "what happened")


def test_what_cannot_be_imported_is_said_at_the_first_call():
    with pytest.raises(ImportError, match="No module named 'no_such'"):
        BoundedProcess("no_such:function", seconds=LONG)()
    with pytest.raises(RuntimeError, match=r"AttributeError: .* no attribute 'no_such'"):
        BoundedProcess("math:no_such", seconds=LONG)()
    with pytest.raises(ImportError, match="No module named 'no_such'"):
        BoundedProcess("math:hypot", seconds=LONG, modules=["no_such"])()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"function": "math.hypot"},
            "`function` must be 'package.module:function', got function='math.hypot'",
        ),
        ({"seconds": 0}, "`seconds` must be a finite number > 0, got seconds=0"),
        ({"seconds": math.inf}, "`seconds` must be a finite number > 0"),
        ({"memory": 0}, "`memory` must be None or bytes > 0, got memory=0"),
    ],
)
def test_bounds_that_are_none_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        BoundedProcess(**{"function": "math:hypot", "seconds": 1, **arguments})


@pytest.mark.slow
@pytest.mark.parametrize("function", ["time:sleep", f"{MODULE}:hold_the_lock"])
def test_a_call_that_takes_too_long_is_ended_and_the_next_one_is_answered(function):
    with BoundedProcess(function, seconds=0.3) as process:
        for _ in range(2):
            with pytest.raises(TimeoutError, match=r"took longer than 0\.3 seconds, and was ended"):
                process(*([1000] if function == "time:sleep" else []))
            assert process.pid is None


@on_linux
def test_memory_is_bounded_above_what_is_needed_to_start():
    with BoundedProcess(f"{MODULE}:ask_for_memory", seconds=LONG, memory=200 * 2**20) as process:
        for _ in range(2):
            with pytest.raises(MemoryError, match=r"needed more than 200 MiB of memory"):
                process(300 * 2**20)
            assert process(100 * 2**20) == 1


@on_linux
def test_the_bound_on_memory_cannot_be_taken_back_over_there():
    with BoundedProcess(f"{MODULE}:limits", seconds=LONG, memory=200 * 2**20) as process:
        soft, hard, *core = process()
    assert soft == hard > 200 * 2**20
    assert core == [0, 0]


def test_where_the_system_counts_no_memory_nothing_is_bounded(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    bounded_process._bound_memory(1)
    assert ask_here(2**20) == 1


def ask_here(size: int) -> int:
    from tests.utils.in_child import ask_for_memory

    return ask_for_memory(size)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_death_is_told_with_its_signal_and_the_next_call_is_answered(number):
    with BoundedProcess(f"{MODULE}:die", seconds=LONG, memory=2**30) as process:
        with pytest.raises(
            ChildProcessError, match=f"died of {number.name}; it may take 1,024 MiB of memory"
        ):
            process(number)
        with pytest.raises(ChildProcessError, match="died of SIGTERM"):
            process(signal.SIGTERM)
    with (
        BoundedProcess("os:_exit", seconds=LONG) as process,
        pytest.raises(ChildProcessError, match="status 5"),
    ):
        process(5)


def test_who_died_between_two_calls_is_replaced():
    with BoundedProcess(f"{MODULE}:echo", seconds=LONG) as echo:
        echo()
        before = psutil.Process(echo.pid)
        before.kill()
        psutil.wait_procs([before], timeout=LONG)
        assert echo("still there") == ["still there"]
        assert echo.pid != before.pid


# ---- Who has taken over the child --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"", b""),
        (b"[]", b""),
        (b"null", b""),
        (b"{}", b""),
        (b'{"result": 1, "more": 2}', b""),
        (b'{"other": 1}', b""),
        (b'{"result": 1}', b"x"),  # more than is named
        (b'{"result": {"bytes": 5}}', b"1234"),
        (b'{"result": {"bytes": -1}}', b""),
        (b'{"result": {"bytes": 1e0}}', b"1"),
        (b'{"result": {"array": ["|O", [1]]}}', b"12345678"),  # an address
        (b'{"result": {"array": ["V8", [1]]}}', b"12345678"),
        (b'{"result": {"array": ["<f8", [-1, -1]]}}', b"12345678"),
        (b'{"result": {"array": ["<f8", [9999999999, 9999999999]]}}', b"12345678"),
        (b'{"result": {"array": ["<f8", [true]]}}', b"12345678"),
        (b'{"result": {"object": "os:system"}}', b""),
        (b'{"error": ["SystemExit", "0"]}', b""),
        (b'{"error": ["ValueError", 3]}', b""),
        (b'{"result": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b""),
        (b'{"result": ' + b"9" * 5000 + b"}", b""),
        (b"\xff\xfe", b""),
        (b"\x80\x05\x95.", b""),  # a pickle
    ],
)
def test_what_is_no_answer_is_not_believed(header, body):
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError, RecursionError)):
        bounded_process._decode_answer(header, bytearray(body))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["dict", "bytes", "array", "x"]), inner),
    max_leaves=8,
)


@settings(max_examples=60)
@given(json_values, st.binary(max_size=64))
def test_whatever_is_answered_is_data_or_an_error(value, body):
    try:
        kind, found = bounded_process._decode_answer(json.dumps({"result": value}).encode(), bytearray(body))
    except Exception:
        return
    assert kind == "result"
    bounded_process._encode(found, [])  # which takes nothing but data


@pytest.mark.slow
def test_an_answer_that_is_none_costs_the_child_and_no_memory_here():
    with BoundedProcess(f"{MODULE}:send", seconds=LONG, answer=1000) as process:
        with pytest.raises(ChildProcessError, match="answered with what is no answer"):
            process(b"nonsense", b"")
        assert process.pid is None
        with pytest.raises(ChildProcessError, match="answered with 1,001 bytes, of which 1,000 are allowed"):
            process(b"", b"", (0, 1001))
        with pytest.raises(ChildProcessError, match="bytes, of which 1,000 are allowed"):
            process(b"", b"", (2**63, 0))
        with pytest.raises(ChildProcessError, match="answered with what is no answer"):
            process(b'{"error": ["KeyboardInterrupt", ""]}', b"")
    with BoundedProcess(f"{MODULE}:close_output", seconds=LONG) as process:
        with pytest.raises(ChildProcessError, match="closed its output, and was ended"):
            process()
        assert process.pid is None


# ---- Its end -----------------------------------------------------------------------------------------------


def test_it_is_gone_after_the_block_and_is_not_asked_again():
    with BoundedProcess(f"{MODULE}:echo", seconds=LONG) as process:
        assert process.pid is None  # it starts when it is needed
        process()
        pid = process.pid
    assert not psutil.pid_exists(pid)
    with pytest.raises(ValueError, match=r"is closed\. Make another BoundedProcess"):
        process()
    process.close()


@pytest.mark.slow
def test_it_ends_with_the_object():
    process = BoundedProcess(f"{MODULE}:echo", seconds=LONG)
    process()
    pid = process.pid
    del process
    gc.collect()
    assert not psutil.pid_exists(pid)


def test_it_can_be_closed_in_the_middle_of_a_call():
    process = BoundedProcess("time:sleep", seconds=LONG)
    process(0)
    threading.Timer(0.2, process.close).start()
    with pytest.raises(ChildProcessError, match="was closed in the middle of a call"):
        process(1000)


def test_ctrl_c_is_for_the_parent_and_the_pipes_for_nobody_else():
    with BoundedProcess(f"{MODULE}:name_handler", seconds=LONG) as process:
        assert process() == str(signal.SIG_IGN)
    with BoundedProcess(f"{MODULE}:print_and_read", seconds=LONG) as process:
        assert process("noise") == ""


PARENT = """
import sys, threading
from l2zoo.utils.processes.bounded_process import BoundedProcess
process = BoundedProcess(sys.argv[1], seconds=float(sys.argv[2]))
threading.Thread(target=process, args=[*map(float, sys.argv[3:])], daemon=True).start()
while not process.pid:
    pass
print("child", process.pid, flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(["time:sleep", LONG, 1000], id="which waits"),
        # It cannot hear of the death, but its time is bounded over there too.
        pytest.param(
            [f"{MODULE}:hold_the_lock", 1], id="which lets no other thread run", marks=pytest.mark.slow
        ),
    ],
)
def test_it_does_not_outlive_a_parent_that_is_killed(call):
    with running([sys.executable, "-c", PARENT, *call]) as parent:
        child = psutil.Process(int(parent.line(r"child (\d+)")[1]))
        time.sleep(0.5)  # the call is on its way, or has arrived
        parent.kill()
        until(
            lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, what="end", timeout=30
        )
