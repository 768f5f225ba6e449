"""The queue: jobs one at a time, each launch in a process of its own."""

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
_PATIENCE = 5.0  # seconds between asking a process to end and ending it


class Queue:
    """Runs what waits in the store, in a thread of its own, until it is stopped."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._stopping = False
        self._cancelled: set[str] = set()
        self._process: subprocess.Popen | None = None
        self._running: str | None = None
        self._thread = threading.Thread(target=self._run, name="queue")

    def start(self) -> None:
        """Begins with what waits."""
        self._thread.start()

    def wake(self) -> None:
        """Says that a job was added."""
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        """Ends the running job, which waits again, and the queue."""
        with self._changed:
            self._stopping = True
            self._end_process()
            self._changed.notify()
        self._thread.join()

    def cancel(self, job: Job) -> None:
        """Cancels a job that waits or runs; another stays as it is."""
        with self._changed:
            if not self._store.cancel_waiting(job) and self._running == job.id:
                self._cancelled.add(job.id)
                self._end_process()

    def _run(self) -> None:
        while True:
            with self._changed:
                job = None if self._stopping else self._store.start_next()
                while job is None and not self._stopping:
                    self._changed.wait()
                    job = None if self._stopping else self._store.start_next()
                if job is None:
                    return
                self._running = job.id
            failure = self._perform(job)
            with self._changed:
                self._running = None
                if job.id in self._cancelled:
                    self._cancelled.discard(job.id)
                    self._store.end(job, CANCELLED)
                elif self._stopping and failure is not None:
                    self._store.requeue(job)
                else:
                    self._store.end(job, DONE if failure is None else FAILED, failure or "")

    def _perform(self, job: Job) -> str | None:
        """None, or in one line why the job failed."""
        folder = self._store.job_folder(job)
        # What an interrupted run left must not be taken for this one's.
        shutil.rmtree(folder / commands.RESULT, ignore_errors=True)
        for name in (commands.PROGRESS, LOG, ERRORS):
            (folder / name).unlink(missing_ok=True)
        try:
            for command in commands.of(job):
                code = self._call(command, folder)
                if code:
                    return self._failure(job, code, (folder / ERRORS).read_text(encoding="utf-8", errors="replace"))
        except Exception as error:  # whatever it was, the next job shall be done
            return one_line(f"{type(error).__name__}: {error}")
        return None

    def _call(self, command: list[str], folder: pathlib.Path) -> int:
        path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH")) if part)
        with (folder / LOG).open("ab") as log, (folder / ERRORS).open("ab") as errors:
            with self._changed:
                if self._stopping or self._running in self._cancelled:
                    return -signal.SIGTERM
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "launch.serving.worker", *command], cwd=folder, stdin=subprocess.PIPE,
                    stdout=log, stderr=errors, env=os.environ | {"PYTHONPATH": path}, start_new_session=True)
            code = self._process.wait()
        with self._changed:
            self._process.stdin.close()
            self._process = None
        return code

    def _end_process(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            killer = threading.Timer(_PATIENCE, self._process.kill)
            killer.daemon = True
            killer.start()

    @staticmethod
    def _failure(job: Job, code: int, errors: str) -> str:
        lines = [line for line in errors.splitlines() if line.strip()]
        if code in (1, 2) and len(lines) == 1:
            # The launch's own line, "reconstruct: curve: ...", in the user's names of the files.
            line = lines[0].partition(": ")[2] or lines[0]
            for ours, name in ((job.settings["source"], job.name), ("reference", job.settings.get("reference"))):
                if name and line.startswith(f"{ours}: "):
                    line = f"{name}{line[len(ours):]}"
            return one_line(line)
        why = f": {lines[-1]}" if lines else ""
        return one_line(f"the program ended with exit code {code}{why}")
