"""The queue and the store of launch.serve: order, cancelling, restarts, and what becomes of processes."""

import subprocess
import sys

import pytest
from served import EXAMPLE, HERE, toys, wait_for

from launch.serving import jobs, queue
from launch.serving.jobs import CANCELLED, DONE, QUEUED, RUNNING, Store
from phasenet.errors import InputError


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def running(store, monkeypatch):
    """A store and its queue: jobs of seed 0 are done at once, those of seed 1 last."""
    toys(monkeypatch, seed1="sleeps")
    line = queue.Queue(store)
    line.start()
    yield store, line
    line.stop()


def add(store, seed=0, name="a.dat"):
    return store.add_job("curve", name, {"source": "curve", "seed": seed}, {"curve": EXAMPLE})


def is_now(store, job, status):
    return lambda: store.job(job.id).status == status


def test_jobs_are_done_one_at_a_time_in_their_order(running):
    store, line = running
    first, *others = [add(store, seed) for seed in (1, 0, 0)]
    line.wake()
    wait_for(is_now(store, first, RUNNING))
    assert [store.num_jobs_ahead(job) for job in others] == [1, 2]
    line.cancel(first)
    wait_for(is_now(store, others[1], DONE))
    ended = [store.job(job.id) for job in (first, *others)]
    assert [job.status for job in ended] == [CANCELLED, DONE, DONE]
    assert ended[0].ended <= ended[1].started <= ended[1].ended <= ended[2].started
    assert [job.id for job in store.jobs()] == [others[1].id, others[0].id, first.id]


def test_a_waiting_job_is_cancelled_without_ever_running(running):
    store, line = running
    first, second = add(store, 1), add(store, 0)
    line.wake()
    wait_for(is_now(store, first, RUNNING))
    line.cancel(store.job(second.id))
    assert store.job(second.id).status == CANCELLED and store.job(second.id).started is None
    line.cancel(first)
    wait_for(is_now(store, first, CANCELLED))
    assert not (store.job_folder(second) / queue.LOG).exists()


def test_what_has_ended_is_not_cancelled(running):
    store, line = running
    job = add(store)
    line.wake()
    wait_for(is_now(store, job, DONE))
    line.cancel(store.job(job.id))
    assert store.job(job.id).status == DONE


def test_a_stop_in_the_middle_loses_nothing(tmp_path, monkeypatch):
    toys(monkeypatch, seed1="sleeps")
    store = Store(tmp_path)
    line = queue.Queue(store)
    line.start()
    job, waiting = add(store, 1), add(store)
    line.wake()
    wait_for(lambda: (store.job_folder(job) / queue.LOG).exists())
    line.stop()
    store.close()

    store = Store(tmp_path)
    assert [store.job(one.id).status for one in (job, waiting)] == [QUEUED, QUEUED]
    assert store.job(job.id).started is None and store.job(job.id).settings == job.settings
    toys(monkeypatch)
    line = queue.Queue(store)
    line.start()
    wait_for(is_now(store, waiting, DONE))
    assert store.job(job.id).status == DONE and store.job(job.id).ended <= store.job(waiting.id).started
    line.stop()
    store.close()


def test_a_running_job_waits_again_where_the_page_was_killed(tmp_path):
    store = Store(tmp_path)
    first, second = add(store), add(store)
    assert store.start_next().id == first.id
    store.close()
    again = Store(tmp_path)
    assert again.job(first.id).status == QUEUED and again.num_jobs_ahead(again.job(second.id)) == 1
    assert again.start_next().id == first.id
    again.close()


def test_a_worker_ends_with_its_page(tmp_path):
    process = subprocess.Popen([sys.executable, "-m", "launch.serving.worker", "toy_job", "sleeps"], cwd=tmp_path,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env={"PYTHONPATH": f"{HERE.parents[1]}:{HERE}"})
    with process:
        assert process.stdout.readline() == "toy job: sleeps\n"
        process.stdin.close()
        assert process.wait(30) == 1


def test_the_queue_is_bounded(store, monkeypatch):
    monkeypatch.setattr(jobs, "MAX_WAITING", 2)
    add(store)
    add(store)
    with pytest.raises(jobs.QueueFull, match="2 jobs wait already"):
        add(store)
    assert len(list((store.folder / "jobs").iterdir())) == 2


def test_only_what_has_ended_is_removed(store):
    job = add(store)
    with pytest.raises(InputError, match="cancel it first"):
        store.remove(job)
    store.cancel_waiting(job)
    store.remove(job)
    assert store.job(job.id) is None and not store.job_folder(job).exists()


@pytest.mark.parametrize(("given", "shown"), [
    ("a.dat", "a.dat"), ("../../b.dat", "b.dat"), (r"C:\me\c.dat", "c.dat"), ("x\x1b[2J\n.dat", "x[2J.dat"),
    ("/", "curve"),
    ("", "curve"), ("é<b>.dat", "é<b>.dat"), ("n" * 500, "n" * 120)])
def test_names_are_shown_as_text(store, given, shown):
    assert store.add_upload("curve", given, b"1").name == shown


def test_a_file_that_is_no_store_is_told(tmp_path):
    (tmp_path / "jobs.sqlite").write_bytes(b"not a database, but long enough to be taken for a damaged one" * 20)
    with pytest.raises(InputError, match="file is not a database"):
        Store(tmp_path)
