"""Jobs and uploads: rows of one SQLite file, and a folder each, in the folder that the page works in.

    jobs.sqlite                  what is asked for, and how it stands
    uploads/ID/FILE              what was dropped on the page, under a name of ours
    jobs/ID/                     a job's copy of its files, its log and its progress
    jobs/ID/result/              what the launch wrote

Ids are made here and looked up here: nothing that a browser sends becomes part of a path.
"""

import json
import pathlib
import secrets
import shutil
import sqlite3
import threading
import time
from typing import NamedTuple

from phasenet.errors import InputError

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
ENDED = (DONE, FAILED, CANCELLED)
MOST_WAITING = 20  # jobs in the queue
MOST_UPLOADS = 40  # kept; the oldest go first, and a job has its own copy
MOST_NAME = 120  # characters of a file's name that are shown

_TABLES = """
create table if not exists jobs (
    number integer primary key autoincrement, id text unique not null, kind text not null, name text not null,
    settings text not null, status text not null, message text not null default '',
    created real not null, started real, ended real);
create table if not exists uploads (
    number integer primary key autoincrement, id text unique not null, kind text not null, name text not null);
"""


class Job(NamedTuple):
    """One job.

    kind: "curve" or "patterson".   name: of its input, for people.   settings: see `commands`.
    status: queued, running, done, failed or cancelled.   message: why it failed.
    created, started, ended: seconds since 1970, None where it has not come to that.
    """

    number: int
    id: str
    kind: str
    name: str
    settings: dict
    status: str
    message: str
    created: float
    started: float | None
    ended: float | None


class Upload(NamedTuple):
    """One file that was given. kind: see `reading`; it is the file's name, too.   name: as the user calls it."""

    number: int
    id: str
    kind: str
    name: str


class QueueFull(InputError):
    """More jobs wait than may."""


class Store:
    """The one owner of the folder; safe to use from several threads."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Opens the folder; what ran when it was left waits again, in its old place.

        Raises InputError where another page works in the folder, or its jobs.sqlite is none.
        """
        self.folder = folder
        path = folder / "jobs.sqlite"
        self._lock = threading.RLock()
        self._rows = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            # Held as long as the connection lives: two queues on one folder would run each job twice.
            self._rows.execute("pragma locking_mode = exclusive")
            self._rows.execute("begin exclusive")
            self._rows.execute("commit")
            self._rows.executescript(_TABLES)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise InputError(f"--folder={folder}: another launch.serve works in this folder") from None
            raise InputError(f"{path}: {error}") from None
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path}: {error}") from None
        self._do("update jobs set status = ?, started = null where status = ?", QUEUED, RUNNING)

    def close(self) -> None:
        """Lets go of the folder."""
        with self._lock:
            self._rows.close()

    def add_upload(self, kind: str, name: str, content: bytes) -> Upload:
        """Keeps a file; of older ones that are too many the oldest go."""
        made = secrets.token_hex(8)
        path = self.folder / "uploads" / made
        path.mkdir(parents=True)
        (path / kind).write_bytes(content)
        with self._lock:
            self._do("insert into uploads (id, kind, name) values (?, ?, ?)", made, kind, shown_name(name, kind))
            surplus = self._do("select id from uploads order by number desc limit -1 offset ?", MOST_UPLOADS)
            for (old,) in surplus:
                self._do("delete from uploads where id = ?", old)
                shutil.rmtree(self.folder / "uploads" / old, ignore_errors=True)
            return self.upload(made)

    def upload(self, id: str) -> Upload | None:
        """The upload of that id, or None."""
        rows = self._do("select number, id, kind, name from uploads where id = ?", id)
        return Upload(*rows[0]) if rows else None

    def upload_path(self, upload: Upload) -> pathlib.Path:
        """Where an upload lies."""
        return self.folder / "uploads" / upload.id / upload.kind

    def remove_upload(self, upload: Upload) -> None:
        """Forgets an upload."""
        self._do("delete from uploads where id = ?", upload.id)
        shutil.rmtree(self.folder / "uploads" / upload.id, ignore_errors=True)

    def add(self, kind: str, name: str, settings: dict, files: dict[str, pathlib.Path]) -> Job:
        """Queues a job with copies of its files, by the names that its commands know. Raises QueueFull."""
        made = secrets.token_hex(8)
        with self._lock:
            if len(self._do("select id from jobs where status = ?", QUEUED)) >= MOST_WAITING:
                raise QueueFull(f"{MOST_WAITING} jobs wait already: let some end, or cancel some")
            folder = self.folder / "jobs" / made
            folder.mkdir(parents=True)
            for inside, path in files.items():
                shutil.copyfile(path, folder / inside)
            self._do("insert into jobs (id, kind, name, settings, status, created) values (?, ?, ?, ?, ?, ?)",
                     made, kind, shown_name(name, kind), json.dumps(settings), QUEUED, time.time())
            return self.job(made)

    def job(self, id: str) -> Job | None:
        """The job of that id, or None."""
        return next(iter(self._jobs("where id = ?", id)), None)

    def jobs(self) -> list[Job]:
        """All jobs, the newest first."""
        return self._jobs("order by number desc")

    def job_folder(self, job: Job) -> pathlib.Path:
        """Where a job's files lie."""
        return self.folder / "jobs" / job.id

    def place(self, job: Job) -> int:
        """How many jobs are done before this one, the running one included."""
        return self._do("select count(*) from jobs where status = ? or (status = ? and number < ?)",
                        RUNNING, QUEUED, job.number)[0][0]

    def start_next(self) -> Job | None:
        """The job that has waited longest, now running; None where none waits."""
        with self._lock:
            waiting = self._jobs("where status = ? order by number limit 1", QUEUED)
            if not waiting:
                return None
            self._do("update jobs set status = ?, started = ? where id = ?", RUNNING, time.time(), waiting[0].id)
            return self.job(waiting[0].id)

    def requeue(self, job: Job) -> None:
        """A job that was interrupted waits again, in its old place."""
        self._do("update jobs set status = ?, started = null where id = ?", QUEUED, job.id)

    def end(self, job: Job, status: str, message: str = "") -> None:
        """Sets how a job ended."""
        self._do("update jobs set status = ?, message = ?, ended = ? where id = ?",
                 status, message, time.time(), job.id)

    def cancel_waiting(self, job: Job) -> bool:
        """Cancels a job that waits; False where it does not."""
        with self._lock:
            if self.job(job.id).status != QUEUED:
                return False
            self.end(job, CANCELLED)
            return True

    def remove(self, job: Job) -> None:
        """Forgets a job that has ended, its results included. Raises InputError for another."""
        with self._lock:
            if self.job(job.id).status not in ENDED:
                raise InputError("this job has not ended: cancel it first")
            self._do("delete from jobs where id = ?", job.id)
        shutil.rmtree(self.job_folder(job), ignore_errors=True)

    def _jobs(self, which: str, *values) -> list[Job]:
        rows = self._do(f"select {', '.join(Job._fields)} from jobs {which}", *values)
        return [Job(*row)._replace(settings=json.loads(row[Job._fields.index("settings")])) for row in rows]

    def _do(self, command: str, *values) -> list[tuple]:
        with self._lock:
            return self._rows.execute(command, values).fetchall()


def shown_name(name: str, otherwise: str) -> str:
    """What a file is called, for people alone: its last part, printable, not too long."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable()).strip()[:MOST_NAME] or otherwise
