"""What becomes of units when workers die, with a Ray of a few lines; then a true one, of two nodes."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import sys
import tempfile
import types
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from l2zoo.engine.job import Job
from l2zoo.engine.record import Unit
from l2zoo.engine.run import Work
from l2zoo.engine.workers.local import InProcess
from l2zoo.engine.workers.ray import OnRay
from tests import processes
from tests.search import small
from tests.search.obedient import Obedient

ROOT = Path(__file__).parents[2]


def outcomes(engine, works):
    for work in works:
        engine.submit(work)
    found = [engine.wait() for _ in works]
    return {record.unit: SimpleNamespace(record=record, state=state) for record, state in found}


# ---- A Ray of a few lines ----------------------------------------------------------------------------------


class Killed(BaseException):
    """What a worker raises that is to be dead."""


@pytest.fixture
def ray(monkeypatch):
    """Runs a call when its answer is asked for."""
    module, exceptions = types.ModuleType("ray"), types.ModuleType("ray.exceptions")
    for name in ("RayTaskError", "RayActorError", "WorkerCrashedError", "NodeDiedError"):
        setattr(exceptions, name, type(name, (Exception,), {}))
    for name in ("ObjectLostError", "OutOfMemoryError"):
        setattr(exceptions, name, type(name, (Exception,), {}))

    class Actor:
        def __init__(self, worker):
            self._worker = worker
            module.alive.add(self)

        def __getattr__(self, name):
            method = getattr(self._worker, name)
            return SimpleNamespace(remote=lambda *given: SimpleCall(functools.partial(method, *given)))

    class SimpleCall:
        def __init__(self, call):
            self.call = call

    def remote(kind):
        actors = SimpleNamespace(remote=lambda *given: Actor(kind(*given)))
        return SimpleNamespace(options=lambda **options: module.options.append(options) or actors)

    def get(reference):
        try:
            return reference.call()
        except Killed as death:
            raise exceptions.RayActorError(f"Gone. Worker exit detail: {death}") from None
        except Exception as error:
            told = exceptions.RayTaskError("in run")
            told.cause = error
            raise told from None

    module.alive, module.options, module.exceptions = set(), [], exceptions
    module.is_initialized = lambda: True
    module.cluster_resources = lambda: {"CPU": 2.0}
    module.put, module.remote, module.get = lambda value: value, remote, get
    module.wait = lambda references, timeout: (references[:1], references[1:])
    module.kill = module.alive.discard
    monkeypatch.setitem(sys.modules, "ray", module)
    return module


def test_units_states_and_the_final_training_come_back_from_workers(ray):
    engine = OnRay(lambda unit: f"at {unit.strength}", workers=2, trainer=Obedient)
    assert (engine.objective, engine.identity) == ("val_accuracy", {"objective": "val_accuracy"})
    with pytest.raises(RuntimeError, match="Nothing was submitted"):
        engine.wait()
    found = outcomes(engine, [Work(Unit(s, 0, 0), state=[np.ones(2)], keep=s > 0) for s in (0.0, 0.5, 0.7)])
    assert [found[Unit(s, 0, 0)].record.reason for s in (0.0, 0.5, 0.7)] == ["at 0.0", "at 0.5", "at 0.7"]
    assert found[Unit(0.0, 0, 0)].state is None
    np.testing.assert_array_equal(found[Unit(0.5, 0, 0)].state, [[2.0, 2.0]])
    engine.submit(Work(Unit(0.6, 0, 0)))
    assert engine.train_on_all({"l2": 1.0}, seed=2, epochs=4)[0] == 7.0
    assert engine.wait()[0].unit.strength == 0.6
    assert len(ray.alive) == 2
    engine.close()
    assert ray.alive == set()
    assert ray.options[0]["runtime_env"]["env_vars"]["OMP_NUM_THREADS"] == "1"


def test_a_unit_whose_worker_dies_runs_again_and_is_given_up_after_three(ray):
    tried = []

    def do(unit):
        tried.append(unit.strength)
        if unit.strength == 9 or tried.count(unit.strength) < unit.strength:
            raise Killed("it was told to")

    engine = OnRay(do, workers=2, trainer=Obedient)
    found = outcomes(engine, [Work(Unit(s, 0, 0)) for s in (0.0, 2.0, 3.0, 9.0)])
    assert {s: tried.count(s) for s in tried} == {0.0: 1, 2.0: 2, 3.0: 3, 9.0: 3}
    status = {unit.strength: each.record.status for unit, each in found.items()}
    assert status == {0.0: "done", 2.0: "done", 3.0: "done", 9.0: "failed"}
    lost = found[Unit(9.0, 0, 0)].record
    assert lost.reason == "its worker died 3 times, last because it was told to"
    assert len(ray.alive) == 2  # others have taken the places of the dead
    engine.close()


def test_a_final_training_that_kills_three_workers_is_an_error(ray):
    class Frail(Obedient):
        def train_on_all(self, values, *, seed, epochs):
            raise Killed("it was told to")

    engine = OnRay(str, workers=1, trainer=Frail)
    with pytest.raises(RuntimeError, match="The final training failed: its worker died 3 times"):
        engine.train_on_all({"l2": 1.0}, seed=0, epochs=1)


def test_an_error_in_a_worker_arrives_as_itself(ray):
    engine = OnRay(lambda unit: {}[unit.strength], workers=1, trainer=Obedient)
    engine.submit(Work(Unit(5.0, 0, 0)))
    with pytest.raises(KeyError) as caught:
        engine.wait()
    assert str(caught.value.__cause__) == "in run"
    with pytest.raises(ValueError, match="no such width"):
        OnRay(ValueError("no such width"), workers=1, trainer=Obedient)


def test_workers_that_die_before_they_are_up_end_it(ray):
    def stillborn(job):
        raise Killed("no memory")

    with pytest.raises(RuntimeError, match=r"3 workers died .* before they were up, the last because no mem"):
        OnRay(str, workers=1, trainer=stillborn)
    assert ray.alive == set()


def test_workers_that_do_not_train_the_same_end_it(ray):
    class Different(Obedient):
        count = 0

        def identity(self):
            Different.count += 1
            return {"model": Different.count, "epochs": 2}

    engine = OnRay(str, workers=2, trainer=Different)
    with pytest.raises(RuntimeError, match=r"they differ in \['model'\]\. Are the versions of Keras"):
        outcomes(engine, [Work(Unit(s, 0, 0)) for s in (0.0, 1.0)])


def test_more_workers_than_processors_are_refused(ray):
    with pytest.raises(ValueError, match=r"`workers` must be at most 2, .* got workers=3"):
        OnRay("unused", workers=3, trainer=Obedient)


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


# ---- A true one, with two nodes on this machine, as on two machines ----------------------------------------


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "workers", [pytest.param(2, marks=pytest.mark.backends), pytest.param(1, marks=pytest.mark.sweep)]
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
            processes.until(lambda: len(list(folder.glob("met *"))) == 2, what="meet")
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
    processes.until(lambda: gone(history.pids), what="end its workers")


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


STARTS_RAY = """
import json, os, sys, time
import psutil

sys.path.append(sys.argv[1])
from tests.search.obedient import Obedient
from l2zoo.engine.workers.ray import OnRay
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
    command = [sys.executable, "script.py", ROOT]
    options = {"cwd": tmp_path, "start_new_session": True, "env": {**os.environ, "HOME": str(tmp_path)}}
    with processes.running(command, **options) as child:
        told = json.loads(child.line("^{.*}$").group())
        assert told["listening"]
        assert {ip.removeprefix("::ffff:") for ip in told["listening"]} <= {"127.0.0.1", "::1"}
        assert told["threads"] == str(len(os.sched_getaffinity(0)))
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does
        assert "KeyboardInterrupt" in child.outcome().stderr
        processes.until(lambda: gone(told["pids"]), what="end its workers")
    assert set(Path("/tmp").glob("l2zoo-ray-*")) <= before
    assert not (tmp_path / ".ray").exists()  # a token there would change what `ray start` does


def gone(pids):
    """Whether all these processes have ended."""
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
                 optimizer="sgd", directory=sys.argv[1], workers=int(sys.argv[2]), verbose=False)
print(len(result.records), result.selection.best.scores)
"""


@pytest.mark.sweep
@pytest.mark.slow
def test_a_driver_that_is_killed_goes_on_from_the_ledger(tmp_path):
    pytest.importorskip("ray", reason='needs pip install "l2zoo[ray]"')
    ledger = tmp_path / "ledger.jsonl"
    command, options = [sys.executable, "-c", SEARCH, tmp_path], {"cwd": ROOT}  # and how many workers

    def lines():
        return ledger.read_text().splitlines(keepends=True) if ledger.exists() else []

    with processes.running([*command, "2"], **options) as child:
        processes.until(lambda: len(lines()) >= 3, what="train two units", of=child)
        child.kill()
        child.outcome()
    before = [line for line in lines() if line.endswith("\n")]
    assert len(before) < 1 + 9
    assert processes.output_of([*command, "1"], **options).startswith("9 ")
    assert lines()[: len(before)] == before
    assert len(lines()) == 1 + 9
