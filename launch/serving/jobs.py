"""Stores jobs and uploads in the folder of the server: each is a row of one SQLite file, and a folder of its own.

    jobs.sqlite                  the jobs and uploads
    uploads/ID/KIND              an uploaded file, named by its kind
    jobs/ID/                     a job's copy of its files, its log and its progress
    jobs/ID/result/              the output folder of the launch

Only ids that this module made are looked up: nothing that a browser sends becomes part of a path.
"""

import json
import pathlib
import secrets
import shutil
import sqlite3
import threading
import time
from typing import Any, NamedTuple

from phasenet.errors import InputError

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
ENDED = (DONE, FAILED, CANCELLED)
MAX_WAITING = 20  # jobs that may wait in the queue
MAX_UPLOADS = 40  # uploads that are kept, the newest; a job has its own copy of its files
MAX_NAME_LENGTH = 120  # characters of a file's name

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

    Attributes:
      number: position in the order of submission.
      id: random name, 16 hexadecimal digits.
      kind: "curve", "patterson" or "crystal".
      name: display name of the input.
      settings: what `commands.validate_settings` returns, and the display name of each further file by its kind.
      status: "queued", "running", "done", "failed" or "cancelled".
      message: why the job failed; otherwise empty.
      created: time of submission, seconds since 1970 (UTC).
      started: time at which the job started, likewise; None while the job waits.
      ended: time at which the job ended, likewise; None until then.
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
    """One uploaded file.

    Attributes:
      number: position in the order of uploads.
      id: random name, 16 hexadecimal digits.
      kind: a key of `reading.MAX_BYTES`; also the name under which the file is stored.
      name: display name, from the user's file.
    """

    number: int
    id: str
    kind: str
    name: str


class QueueFull(InputError):
    """Raised where `MAX_WAITING` jobs wait already."""


class Store:
    """Jobs and uploads in a folder that one server owns; safe to use from several threads.

    Attributes:
      folder: the folder of the server.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Opens a folder; jobs that ran when the last server stopped wait again, in their old order.

        Raises:
          InputError: another server uses the folder, or the file jobs.sqlite cannot be used.
        """
        self.folder = folder
        path = folder / "jobs.sqlite"
        self._lock = threading.RLock()
        self._rows = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            # The lock is held while the connection is open: two queues on one folder would run each job twice.
            self._rows.execute("pragma locking_mode = exclusive")
            self._rows.execute("begin exclusive")
            self._rows.execute("commit")
            self._rows.executescript(_TABLES)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise InputError(f"--folder={folder}: another launch.serve uses this folder: "
                                 "give another --folder, or stop it") from None
            raise InputError(f"{path}: {error}: give another --folder") from None
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path}: {error}: give another --folder") from None
        self._do("update jobs set status = ?, started = null where status = ?", QUEUED, RUNNING)

    def close(self) -> None:
        """Closes the database, so another server can use the folder."""
        with self._lock:
            self._rows.close()

    def add_upload(self, kind: str, name: str, content: bytes) -> Upload:
        """Stores a file, removes the oldest uploads beyond `MAX_UPLOADS`, and returns the new upload.

        Args:
          kind: a key of `reading.MAX_BYTES`.
          name: the user's file name.
          content: the bytes of the file.
        """
        made = secrets.token_hex(8)
        path = self.folder / "uploads" / made
        path.mkdir(parents=True)
        (path / kind).write_bytes(content)
        with self._lock:
            self._do("insert into uploads (id, kind, name) values (?, ?, ?)", made, kind, display_name(name, kind))
            surplus = self._do("select id from uploads order by number desc limit -1 offset ?", MAX_UPLOADS)
            for (old,) in surplus:
                self._do("delete from uploads where id = ?", old)
                shutil.rmtree(self.folder / "uploads" / old, ignore_errors=True)
            return self._uploads(made)[0]

    def upload(self, id: str) -> Upload | None:
        """Returns the upload with an id; None where there is none."""
        return next(iter(self._uploads(id)), None)

    def upload_path(self, upload: Upload) -> pathlib.Path:
        """Returns the path of an uploaded file."""
        return self.folder / "uploads" / upload.id / upload.kind

    def remove_upload(self, upload: Upload) -> None:
        """Removes an upload and its file."""
        self._do("delete from uploads where id = ?", upload.id)
        shutil.rmtree(self.folder / "uploads" / upload.id, ignore_errors=True)

    def add_job(self, kind: str, name: str, settings: dict, files: dict[str, pathlib.Path]) -> Job:
        """Queues a job and returns it.

        Args:
          kind: "curve", "patterson" or "crystal".
          name: the user's name of the input.
          settings: what `commands.validate_settings` returns.
          files: the files to copy into the folder of the job, by the names that its commands use.

        Raises:
          QueueFull: `MAX_WAITING` jobs wait already.
        """
        made = secrets.token_hex(8)
        with self._lock:
            if len(self._do("select id from jobs where status = ?", QUEUED)) >= MAX_WAITING:
                raise QueueFull(f"{MAX_WAITING} jobs wait already: wait until some have ended, or cancel some")
            folder = self.folder / "jobs" / made
            folder.mkdir(parents=True)
            for inside, path in files.items():
                shutil.copyfile(path, folder / inside)
            self._do("insert into jobs (id, kind, name, settings, status, created) values (?, ?, ?, ?, ?, ?)",
                     made, kind, display_name(name, kind), json.dumps(settings), QUEUED, time.time())
            return self._jobs("where id = ?", made)[0]

    def job(self, id: str) -> Job | None:
        """Returns the job with an id; None where there is none."""
        return next(iter(self._jobs("where id = ?", id)), None)

    def jobs(self) -> list[Job]:
        """Returns all jobs, the newest first."""
        return self._jobs("order by number desc")

    def job_folder(self, job: Job) -> pathlib.Path:
        """Returns the folder of a job's files."""
        return self.folder / "jobs" / job.id

    def num_jobs_ahead(self, job: Job) -> int:
        """Returns how many jobs are ahead of a waiting one, the running one included."""
        return self._do("select count(*) from jobs where status = ? or (status = ? and number < ?)",
                        RUNNING, QUEUED, job.number)[0][0]

    def start_next(self) -> Job | None:
        """Marks the job that has waited longest as running and returns it; None where none waits."""
        with self._lock:
            waiting = self._jobs("where status = ? order by number limit 1", QUEUED)
            if not waiting:
                return None
            self._do("update jobs set status = ?, started = ? where id = ?", RUNNING, time.time(), waiting[0].id)
            return self.job(waiting[0].id)

    def requeue(self, job: Job) -> None:
        """Marks an interrupted job as waiting again, in its old place."""
        self._do("update jobs set status = ?, started = null where id = ?", QUEUED, job.id)

    def end(self, job: Job, status: str, message: str = "") -> None:
        """Marks a job as ended, with a status of `ENDED` and, if it failed, the reason."""
        self._do("update jobs set status = ?, message = ?, ended = ? where id = ?",
                 status, message, time.time(), job.id)

    def cancel_waiting(self, job: Job) -> bool:
        """Cancels a job if it waits; returns whether the job waited."""
        with self._lock:
            now = self.job(job.id)
            if now is None or now.status != QUEUED:
                return False
            self.end(job, CANCELLED)
            return True

    def remove(self, job: Job) -> None:
        """Removes a job that has ended, and its files.

        Raises:
          InputError: the job waits or runs.
        """
        with self._lock:
            now = self.job(job.id)
            if now is not None and now.status not in ENDED:
                raise InputError("this job has not ended: cancel it first")
            self._do("delete from jobs where id = ?", job.id)
        shutil.rmtree(self.job_folder(job), ignore_errors=True)

    def _uploads(self, id: str) -> list[Upload]:
        """Returns the upload with an id, in a list that is empty where there is none."""
        return [Upload(*row) for row in self._do("select number, id, kind, name from uploads where id = ?", id)]

    def _jobs(self, which: str, *values: Any) -> list[Job]:
        """Returns the jobs that an SQL clause selects."""
        rows = self._do(f"select {', '.join(Job._fields)} from jobs {which}", *values)
        return [Job(*row)._replace(settings=json.loads(row[Job._fields.index("settings")])) for row in rows]

    def _do(self, command: str, *values: Any) -> list[tuple]:
        """Executes an SQL command and returns its rows."""
        with self._lock:
            return self._rows.execute(command, values).fetchall()


def display_name(name: str, otherwise: str) -> str:
    """Returns a file name to show to people: its last part, printable, at most `MAX_NAME_LENGTH` characters.

    Args:
      name: the name that the browser sent; it may be a path.
      otherwise: returned where nothing is left of the name.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable()).strip()[:MAX_NAME_LENGTH] or otherwise
