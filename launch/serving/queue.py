"""Runs the jobs of a `jobs.Store` one at a time, each launch in a process of its own (`worker`)."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

from launch.serving import commands
from launch.serving.jobs import CANCELLED, DONE, FAILED, Job, Store
from phasenet.errors import one_line

LOG, ERRORS = "log.txt", "errors.txt"  # standard output and error of a job
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SECONDS_UNTIL_KILL = 5.0  # from SIGTERM to SIGKILL


class Queue:
    """Runs the waiting jobs of a store in a thread, until it is stopped."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._stopping = False
        self._cancelled: set[str] = set()
        self._process: subprocess.Popen | None = None
        self._running: str | None = None
        self._thread = threading.Thread(target=self._run, name="queue")

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Tells the thread that a job was added."""
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        """Stops the thread; a running job is interrupted and waits again."""
        with self._changed:
            self._stopping = True
            self._end_process()
            self._changed.notify()
        self._thread.join()

    def cancel(self, job: Job) -> None:
        """Cancels a job that waits or runs; a job that has ended stays as it is."""
        with self._changed:
            if not self._store.cancel_waiting(job) and self._running == job.id:
                self._cancelled.add(job.id)
                self._end_process()

    def _run(self) -> None:
        """Runs job after job; the body of the thread."""
        while True:
            with self._changed:
                job = None if self._stopping else self._store.start_next()
                while job is None and not self._stopping:
                    self._changed.wait()
                    job = None if self._stopping else self._store.start_next()
                if job is None:
                    return
                self._running = job.id
            failure = self._run_job(job)
            with self._changed:
                self._running = None
                if job.id in self._cancelled:
                    self._cancelled.discard(job.id)
                    self._store.end(job, CANCELLED)
                elif self._stopping and failure is not None:
                    self._store.requeue(job)
                else:
                    self._store.end(job, DONE if failure is None else FAILED, failure or "")

    def _run_job(self, job: Job) -> str | None:
        """Runs the launches of a job; returns one line that says why the job failed, None if it succeeded."""
        folder = self._store.job_folder(job)
        # Files of an interrupted run of the job must not be taken for files of this run.
        shutil.rmtree(folder / commands.RESULT, ignore_errors=True)
        for name in (commands.PROGRESS, LOG, ERRORS):
            (folder / name).unlink(missing_ok=True)
        try:
            for command in commands.build_commands(job):
                code = self._run_launch(command, folder)
                if code:
                    errors = (folder / ERRORS).read_text(encoding="utf-8", errors="replace")
                    return self._describe_failure(job, code, errors)
        except Exception as error:  # no failure of one job may end the queue
            return one_line(f"{type(error).__name__}: {error}")
        return None

    def _run_launch(self, command: list[str], folder: pathlib.Path) -> int:
        """Runs one launch in the folder of its job and returns the exit code."""
        path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH")) if part)
        with (folder / LOG).open("ab") as log, (folder / ERRORS).open("ab") as errors:
            with self._changed:
                if self._stopping or self._running in self._cancelled:
                    return -signal.SIGTERM
                process = self._process = subprocess.Popen(
                    [sys.executable, "-m", "launch.serving.worker", *command], cwd=folder, stdin=subprocess.PIPE,
                    stdout=log, stderr=errors, env=os.environ | {"PYTHONPATH": path}, start_new_session=True)
            code = process.wait()
        with self._changed:
            if process.stdin is not None:
                process.stdin.close()
            self._process = None
        return code

    def _end_process(self) -> None:
        """Asks the running process to end, and kills the process if it does not end in time."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            killer = threading.Timer(_SECONDS_UNTIL_KILL, self._process.kill)
            killer.daemon = True
            killer.start()

    @staticmethod
    def _describe_failure(job: Job, code: int, errors: str) -> str:
        """Returns one line that says why a launch failed, with the user's names of the files."""
        lines = [line for line in errors.splitlines() if line.strip()]
        if code in (1, 2) and len(lines) == 1:
            # An error of the input is one line, "reconstruct: curve: ...".
            line = lines[0].partition(": ")[2] or lines[0]
            source = job.settings["source"]
            names = {kind: job.settings.get(kind) for kind in commands.companion_kinds(source)}
            for ours, name in ({commands.input_kind(source): job.name} | names).items():
                if name and line.startswith(f"{ours}: "):
                    line = f"{name}{line[len(ours):]}"
            return one_line(line)
        why = f": {lines[-1]}" if lines else ""
        return one_line(f"the program ended with exit code {code}{why}")
