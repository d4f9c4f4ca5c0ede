"""Ray on one machine, with two nodes on it, as on two machines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from l2zoo.engine.job import Job
from l2zoo.engine.local import InProcess
from l2zoo.engine.ray import OnRay
from l2zoo.engine.record import Unit
from l2zoo.engine.run import Work
from tests.search import small
from tests.search.obedient import Obedient


@pytest.fixture(scope="module")
def address():
    """Of two nodes with a processor each, which only this machine can reach."""
    pytest.importorskip("ray", reason='needs pip install "l2zoo[ray]"')
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    # Sockets lie in the folder, and their paths must be short.
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        patch.setenv("RAY_TMPDIR", folder)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)  # JAX's; Ray executes at once
            two = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
            two.add_node(num_cpus=1)
        yield two.address
        two.shutdown()


def outcomes(engine, works):
    for work in works:
        engine.submit(work)
    found = [engine.wait() for _ in works]
    return {record.unit: SimpleNamespace(record=record, state=state) for record, state in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    "workers", [pytest.param(2, marks=pytest.mark.backends), pytest.param(1, marks=pytest.mark.exhaustive)]
)
def test_it_gives_what_training_in_this_process_gives(address, workers):
    x, y = small.data()
    # Not Adam: it makes steps of full size of the bias before a batch norm, whose gradient is rounding alone.
    settings = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": ("accuracy",)}
    build = lambda values: small.build(values["l2"])  # noqa: E731 - a function that cannot be imported
    job = Job(build, x, y, folds=2, epochs=2, batch_size=8, objective=None, **settings)
    works = [Work(Unit(strength, fold, 0), keep=True) for strength in (0.0, 0.01, 0.1) for fold in (0, 1)]
    alone = InProcess(job)
    engine = OnRay(job, workers=workers, address=address)
    try:
        assert (engine.objective, engine.identity) == (alone.objective, alone.identity)
        found, expected = outcomes(engine, works), outcomes(alone, works)
        assert found.keys() == expected.keys()
        for unit, outcome in found.items():
            record, wanted = outcome.record, expected[unit].record
            assert record.score == pytest.approx(wanted.score, abs=1e-5)
            assert record.penalty == pytest.approx(wanted.penalty, abs=1e-5)
            assert record.curves.keys() == wanted.curves.keys()
            for name, curve in wanted.curves.items():
                assert record.curves[name] == pytest.approx(curve, abs=1e-5)
            assert_close(outcome.state, expected[unit].state)
        values = {"l2": 0.01}
        final = engine.train_on_all(values, seed=0, epochs=1)
        assert_close(final, alone.train_on_all(values, seed=0, epochs=1))
    finally:
        engine.close()


def assert_close(state, expected):
    for part, other in zip(state, expected, strict=True):
        np.testing.assert_allclose(part, other, atol=1e-5)


STATE = [np.arange(200_000.0), np.ones(2, "int32")]
MEETING, ORPHAN, KILLER, FAULTY = (0.1, 0.2), 1.0, 9.0, 5.0
UNITS = [*MEETING, 0.3, KILLER, ORPHAN, 0.4, 0.5]


@pytest.fixture(scope="module")
def history(address, tmp_path_factory):
    """What became of a search in which much went wrong; starting workers takes the time."""
    folder = tmp_path_factory.mktemp("search")

    def do(unit):
        import ray

        node = ray.get_runtime_context().get_node_id()
        (folder / f"pid {os.getpid()}").touch()
        if unit.strength in MEETING:
            (folder / f"met {node}").touch()
            deadline = time.monotonic() + 100
            while len(list(folder.glob("met *"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
        marker = folder / f"killed {unit.strength}"
        if unit.strength == KILLER or (unit.strength == ORPHAN and not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if unit.strength == FAULTY:
            raise KeyError(FAULTY)
        return node

    engine = OnRay(do, workers=2, address=address, trainer=Obedient)
    try:
        with pytest.raises(RuntimeError, match="Nothing was submitted"):
            engine.wait()
        found = outcomes(engine, [Work(Unit(s, 0, 0), state=STATE, keep=True) for s in UNITS])
        engine.submit(Work(Unit(0.6, 0, 0)))
        final = engine.train_on_all({"l2": 1.0}, seed=2, epochs=4)
        later = engine.wait()
        engine.submit(Work(Unit(FAULTY, 0, 0)))
        with pytest.raises(KeyError) as caught:
            engine.wait()
    finally:
        engine.close()
    pids = [int(path.name.split()[1]) for path in folder.glob("pid *")]
    outcome = {unit.strength: outcome for unit, outcome in found.items()}
    return SimpleNamespace(outcome=outcome, final=final, later=later, error=caught.value, pids=pids)


@pytest.mark.slow
def test_units_run_on_all_machines_at_the_same_time(history):
    assert len({history.outcome[strength].record.reason for strength in MEETING}) == 2


@pytest.mark.slow
def test_states_travel_both_ways_and_are_ordinary_arrays(history):
    for strength in MEETING:
        state = history.outcome[strength].state
        np.testing.assert_array_equal(state[0], 2 * STATE[0])
        assert state[1].dtype == "int32"
        state[0][0] = 1  # Ray's own memory is read-only


@pytest.mark.slow
def test_a_unit_whose_worker_was_killed_runs_again(history):
    assert history.outcome.keys() == set(UNITS)
    assert {s for s, outcome in history.outcome.items() if outcome.record.status == "done"} == {*UNITS} - {
        KILLER
    }


@pytest.mark.slow
def test_a_unit_that_kills_three_workers_is_recorded_as_failed(history):
    record = history.outcome[KILLER].record
    assert record.status == "failed"
    assert record.reason.startswith("its worker died 3 times, last because Worker unexpectedly exits")


@pytest.mark.slow
def test_the_final_training_leaves_units_that_wait_alone(history):
    assert history.final[0] == 7.0
    assert history.later[0].unit.strength == 0.6


@pytest.mark.slow
def test_an_error_in_a_training_arrives_as_itself(history):
    assert type(history.error) is KeyError
    assert history.error.args == (FAULTY,)
    assert "in run" in str(history.error.__cause__)  # where it happened in the worker


@pytest.mark.slow
def test_closing_ends_the_workers(history):
    assert len(history.pids) >= 3
    assert gone(history.pids)


@pytest.mark.slow
def test_an_error_of_the_builder_arrives_as_itself_with_its_notes(address):
    error = ValueError("`filters` must be at least 1, got filters=0.")
    error.add_note("The model was built with {'l2': 1.0}.")
    with pytest.raises(ValueError, match="`filters` must be at least 1, got filters=0") as caught:
        OnRay(error, workers=1, address=address, trainer=Obedient)
    assert type(caught.value) is ValueError
    assert caught.value.__notes__ == error.__notes__


@pytest.mark.slow
def test_workers_that_die_before_they_are_up_end_the_search(address):
    with pytest.raises(
        RuntimeError, match="3 workers died one after another before they were up, the last because"
    ):
        OnRay("die", workers=1, address=address, trainer=Obedient)


def test_more_workers_than_processors_are_refused(address):
    with pytest.raises(ValueError, match=r"`workers` must be at most 2, .* got workers=3"):
        OnRay("unused", workers=3, address=address, trainer=Obedient)


def test_an_address_where_nothing_answers_is_refused_at_once():
    pytest.importorskip("ray", reason='needs pip install "l2zoo[ray]"')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=f"No Ray answers at `address`='{address}'"):
            OnRay("unused", workers=2, address=address, trainer=Obedient)


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'pip install "l2zoo\[ray\]"'):
        OnRay("unused", workers=2, trainer=Obedient)


STARTS_RAY = """
import json, os, sys, time
import psutil

sys.path.append(sys.argv[1])
from tests.search.obedient import Obedient
from l2zoo.engine.ray import OnRay
from l2zoo.engine.record import Unit
from l2zoo.engine.run import Work

def do(unit):
    time.sleep(1000 * unit.strength)
    return os.environ["OMP_NUM_THREADS"]

engine = OnRay(do, workers=1, trainer=Obedient)
engine.submit(Work(Unit(0, 0, 0)))
threads = engine.wait()[0].reason
me = psutil.Process()
family = [me, *me.children(recursive=True)]
told = {
    "threads": threads,
    "pids": [process.pid for process in family[1:]],
    "listening": [c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == "LISTEN"],
}
print(json.dumps(told), flush=True)
engine.submit(Work(Unit(1, 0, 0)))
engine.wait()
"""


@pytest.mark.slow
def test_a_ray_of_its_own_is_out_of_reach_and_gone_after_ctrl_c(tmp_path):
    pytest.importorskip("ray", reason='needs pip install "l2zoo[ray]"')
    (tmp_path / "script.py").write_text(STARTS_RAY)
    before = set(Path("/tmp").glob("l2zoo-ray-*"))
    child = subprocess.Popen(
        [sys.executable, "script.py", str(Path(__file__).parents[2])],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "HOME": str(tmp_path)},
        # What runs in the background of a shell ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with contextlib.ExitStack() as cleaning:
        cleaning.callback(child.wait)
        cleaning.callback(child.kill)
        line = child.stdout.readline()
        assert line, child.stderr.read()
        told = json.loads(line)
        assert told["listening"]
        assert {ip.removeprefix("::ffff:") for ip in told["listening"]} <= {"127.0.0.1", "::1"}
        assert told["threads"] == str(len(os.sched_getaffinity(0)))
        started = time.monotonic()
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does
        _, errors = child.communicate(timeout=60)
    assert time.monotonic() - started < 20
    assert "KeyboardInterrupt" in errors
    assert gone(told["pids"])
    assert set(Path("/tmp").glob("l2zoo-ray-*")) <= before
    assert not (tmp_path / ".ray").exists()  # a token there would change what `ray start` does


def gone(pids):
    """Whether all these processes end within some seconds."""
    deadline = time.monotonic() + 20
    while any(map(lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(map(lives, pids))


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


SEARCH = """
import sys
from tests.search import small
from l2zoo import tune_l2

result = tune_l2(small.build, small.data(), strengths=[1e-2, 1.0], folds=3, epochs=2, batch_size=8,
                 optimizer="sgd", directory=sys.argv[1], workers=2, verbose=False)
print(len(result.records), result.selection.best.scores)
"""


@pytest.mark.slow
def test_a_driver_that_is_killed_goes_on_from_the_ledger(tmp_path):
    pytest.importorskip("ray", reason='needs pip install "l2zoo[ray]"')
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    ledger = tmp_path / "ledger.jsonl"

    def started():
        command = [sys.executable, "-c", SEARCH, str(tmp_path)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    child = started()
    deadline = time.monotonic() + 120
    while not (ledger.exists() and ledger.read_text().count("\n") >= 3):
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.kill()
    child.communicate()
    before = [line for line in ledger.read_text().splitlines(keepends=True) if line.endswith("\n")]
    assert len(before) < 1 + 9
    child = started()
    printed, _ = child.communicate(timeout=200)
    assert child.returncode == 0
    assert printed.startswith("9 ")
    after = ledger.read_text().splitlines(keepends=True)
    assert after[: len(before)] == before
    assert len(after) == 1 + 9
