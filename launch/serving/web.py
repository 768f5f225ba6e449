"""Answers the requests of the local page: pages, uploads, jobs, their events and files.

`launch.serve` runs the application that `make_application` returns.
"""

import contextlib
import json
import pathlib
import tempfile
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from launch import app
from launch.pages.templates import fill_template
from launch.serving import commands, crystals, events, frame, reading
from launch.serving.guard import Guard
from launch.serving.jobs import ENDED, QUEUED, Job, QueueFull, Store, Upload
from launch.serving.queue import Queue
from phasenet.errors import InputError

_HERE = pathlib.Path(__file__).parent
_STATIC, _PAGES = _HERE / "static", _HERE.parent / "pages"
# Files of launch/pages that this page uses as well.
_SHARED = ("page.css", "elements.js", "surface.js", "balls.js", "scene.js", "charts.js")
_EXAMPLES = _HERE.parents[1] / "saxsae" / "examples"
EXAMPLE = "example"  # stands for the id of an upload: the shipped example
_MAX_SETTINGS_BYTES = 10_000
# For each page: its address, the name of its files in static/, its title, and the address of its tab.
_ADDRESSES = (("/", "curve", "Curve to shape", "/"),
              ("/patterson", "patterson", "Diffraction amplitudes to atoms", "/patterson"),
              ("/runs", "runs", "Runs", "/runs"),
              ("/jobs/{id}", "job", "Run", "/runs"))


def make_application(folder: pathlib.Path, host: str = "127.0.0.1") -> Starlette:
    """Returns the application that serves the page.

    Args:
      folder: the folder of jobs, uploads and results; it must exist.
      host: the host name by which requests may call the server.

    Raises:
      InputError: another server uses the folder, or its jobs.sqlite cannot be used.
    """
    store = Store(folder)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        queue = made.state.queue = Queue(store)
        queue.start()
        try:
            yield
        finally:
            await run_in_threadpool(queue.stop)
            store.close()

    routes: list[BaseRoute] = [Route(address, _page_endpoint(*page)) for address, *page in _ADDRESSES]
    routes += [Route(f"/pages/{name}", _file_endpoint(_PAGES / name)) for name in _SHARED]
    routes += [
        Route("/api/uploads", add_upload, methods=["POST"]),
        Route("/api/uploads/{id}", read_upload),
        Route("/api/weights", list_weights),
        Route("/api/jobs", list_jobs),
        Route("/api/jobs", add_job, methods=["POST"]),
        Route("/api/jobs/{id}", get_job),
        Route("/api/jobs/{id}", remove_job, methods=["DELETE"]),
        Route("/api/jobs/{id}/cancel", cancel_job, methods=["POST"]),
        Route("/api/jobs/{id}/again", repeat_job, methods=["POST"]),
        Route("/api/jobs/{id}/events", job_events),
        Route("/jobs/{id}/files/{name}", job_file),
        Route("/jobs/{id}/archive.zip", job_archive),
        Mount("/static", StaticFiles(directory=_STATIC)),
        Mount("/vendor", StaticFiles(directory=_PAGES / "vendor"))]
    made = Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(Guard, host=host)],
                     exception_handlers={InputError: _input_error, HTTPException: _http_error, OSError: _disk_error})
    made.state.store, made.state.stopping = store, lambda: False
    return made


def _page_endpoint(name: str, title: str, tab: str) -> Callable[[Request], Awaitable[Response]]:
    """Returns the endpoint of a page: static/NAME.html in static/layout.html."""
    layout, main = ((_STATIC / f"{part}.html").read_text(encoding="utf-8") for part in ("layout", name))
    layout = layout.replace(f'href="{tab}"', f'href="{tab}" aria-current="page"')
    content = fill_template(layout, {"title": title, "name": name, "main": main})

    async def answer(_: Request) -> Response:
        return HTMLResponse(content)
    return answer


def _file_endpoint(path: pathlib.Path) -> Callable[[Request], Awaitable[Response]]:
    """Returns the endpoint of a file."""
    async def answer(_: Request) -> Response:
        return FileResponse(path)
    return answer


async def _input_error(_: Request, error: Exception) -> Response:
    """Answers 422 to a wrong input, 429 where too many jobs wait."""
    return JSONResponse({"error": str(error)}, 429 if isinstance(error, QueueFull) else 422)


async def _disk_error(_: Request, error: Exception) -> Response:
    """Answers 507 where a file cannot be read or written."""
    return JSONResponse({"error": app.describe_error(error)}, 507)


async def _http_error(_: Request, error: Exception) -> Response:
    """Answers with the status of an HTTPException."""
    raised = cast(HTTPException, error)  # the application registers this handler for HTTPException only
    return JSONResponse({"error": raised.detail}, raised.status_code)


async def add_upload(request: Request) -> Response:
    """Stores the file in the request's body and answers how the program reads it.

    Query: `kind`, a key of `reading.MAX_BYTES`; `name`, the user's file name; `unit` of q, if it is a curve. Of the
    reflections of a crystal: `beside`, ids of the files that belong to them, and the settings of `crystals.GIVEN`.

    Raises:
      InputError: the kind is unknown, or the file cannot be read and is not kept.
      HTTPException: the file is too large (413).
    """
    store: Store = request.app.state.store
    kind, name = request.query_params.get("kind", ""), request.query_params.get("name", "")
    if kind not in reading.MAX_BYTES:
        raise InputError(f"kind: one of {', '.join(reading.MAX_BYTES)} is needed")
    content = await _body(request, reading.MAX_BYTES[kind], name)
    upload = await run_in_threadpool(store.add_upload, kind, name, content)
    try:
        return JSONResponse(await _reading(request, upload))
    except (InputError, HTTPException):
        store.remove_upload(upload)
        raise


async def read_upload(request: Request) -> Response:
    """Answers how an upload, or the example, is read; query as that of `add_upload`."""
    unit = request.query_params.get("unit") or None
    if request.path_params["id"] == EXAMPLE:
        path = _EXAMPLES / "three_lobes.dat"
        found = await run_in_threadpool(reading.describe_file, "curve", path, path.name, unit)
        return JSONResponse({"id": EXAMPLE, "kind": "curve", "name": path.name} | found)
    return JSONResponse(await _reading(request, _upload(request, request.path_params["id"])))


async def _reading(request: Request, upload: Upload) -> dict[str, Any]:
    """Returns the JSON of an upload: its id, kind and name, and how it is read."""
    store, query = request.app.state.store, request.query_params
    if upload.kind == crystals.REFLECTIONS:
        beside = [_upload(request, id) for id in query.get("beside", "").split(",") if id]
        for one in beside:
            if one.kind not in crystals.COMPANIONS:
                raise InputError(f"{one.name}: was given as {one.kind}; beside reflections, give a file as "
                                 f"{' or '.join(crystals.COMPANIONS)}")
        files = {one.kind: crystals.NamedFile(store.upload_path(one), one.name) for one in (upload, *beside)}
        given = commands.validate_settings("crystal", {name: query.get(name) for name in crystals.GIVEN})
        found = await run_in_threadpool(crystals.describe_crystal, files, given)
    else:
        found = await run_in_threadpool(reading.describe_file, upload.kind, store.upload_path(upload), upload.name,
                                        query.get("unit") or None)
    return {"id": upload.id, "kind": upload.kind, "name": upload.name} | found


async def add_job(request: Request) -> Response:
    """Queues a job and answers with it.

    The body is {"source", "input", "beside", "settings"}: a key of `commands.FIELDS`, the id of an upload (not for
    "random"), the ids of further uploads by their kind (optional), and the settings.

    Raises:
      InputError: the body or a setting is not valid.
      QueueFull: too many jobs wait.
      HTTPException: an upload no longer exists (404).
    """
    state = request.app.state
    try:
        asked = json.loads(await _body(request, _MAX_SETTINGS_BYTES, "settings"))
        source, given, beside = asked["source"], asked.get("settings", {}), asked.get("beside") or {}
        if source not in commands.FIELDS or not isinstance(given, dict) or not isinstance(beside, dict):
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError("the request is not a job: expected JSON {source, input, beside, settings}") from None
    settings, files, name = commands.validate_settings(source, given), {}, "random atoms"
    companions = commands.companion_kinds(source)
    for kind in beside:
        if kind not in companions:
            raise InputError(f"beside: a job {source} has no file {kind}; expected "
                             f"{' or '.join(companions) or 'no further file'}")
    if source != "random":
        kind = commands.input_kind(source)
        files[kind], name = _given_file(request, asked.get("input"), kind)
    for kind in companions:
        if beside.get(kind):
            files[kind], settings[kind] = _given_file(request, beside[kind], kind)
    job = await run_in_threadpool(state.store.add_job, commands.KINDS[source], name, settings, files)
    state.queue.wake()
    return JSONResponse(describe_job(state.store, job), 201)


def _given_file(request: Request, id: Any, kind: str) -> tuple[pathlib.Path, str]:
    """Returns path and display name of an upload, or of the example; raises InputError for another kind."""
    if id == EXAMPLE and kind in ("curve", "reference"):
        path = _EXAMPLES / f"three_lobes.{'dat' if kind == 'curve' else 'pdb'}"
        return path, path.name
    upload = _upload(request, str(id))
    if upload.kind != kind:
        raise InputError(f"{upload.name}: was given as {upload.kind}, not as {kind}")
    return request.app.state.store.upload_path(upload), upload.name


async def list_weights(_: Request) -> Response:
    """Answers with the released weights by kind of job, and the default ones."""
    return JSONResponse({kind: {"names": choice.words, "first": choice.default}
                         for kind, choice in commands.WEIGHTS.items()})


async def list_jobs(request: Request) -> Response:
    """Answers with all jobs, the newest first."""
    store: Store = request.app.state.store
    return JSONResponse([describe_job(store, job) for job in store.jobs()])


async def get_job(request: Request) -> Response:
    """Answers with a job and its files."""
    return JSONResponse(describe_job(request.app.state.store, _job(request)))


async def remove_job(request: Request) -> Response:
    """Removes a job that has ended, and its files."""
    await run_in_threadpool(request.app.state.store.remove, _job(request))
    return Response(status_code=204)


async def cancel_job(request: Request) -> Response:
    """Cancels a job that waits or runs, and answers with it."""
    state = request.app.state
    await run_in_threadpool(state.queue.cancel, _job(request))
    return JSONResponse(describe_job(state.store, _job(request)))


async def repeat_job(request: Request) -> Response:
    """Queues a job with the files and settings of another one, and answers with it."""
    state, job = request.app.state, _job(request)
    folder = state.store.job_folder(job)
    files = {name: folder / name for name in reading.MAX_BYTES if (folder / name).exists()}
    again = await run_in_threadpool(state.store.add_job, job.kind, job.name, job.settings, files)
    state.queue.wake()
    return JSONResponse(describe_job(state.store, again), 201)


async def job_events(request: Request) -> Response:
    """Answers with the stream of a job's events, see `events`."""
    state, job = request.app.state, _job(request)

    def describe() -> dict[str, Any] | None:
        now = state.store.job(job.id)
        return now and describe_job(state.store, now)

    told = events.stream(describe, state.store.job_folder(job), state.stopping)
    return StreamingResponse(told, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def job_file(request: Request) -> Response:
    """Answers with a file of a result; query: `download` to save it, `framed` for a frame of the page."""
    job, name = _job(request), request.path_params["name"]
    path = next((path for path in _results(request.app.state.store, job) if path.name == name), None)
    if path is None:
        raise HTTPException(404, "no such file")
    if "download" in request.query_params:
        return FileResponse(path, filename=f"{_stem(job)}_{name}")
    return await run_in_threadpool(frame.make_response, path, "framed" in request.query_params)


async def job_archive(request: Request) -> Response:
    """Answers with all files of a result in one .zip."""
    job = _job(request)
    paths = _results(request.app.state.store, job)
    if not paths:
        raise HTTPException(404, "there are no files")
    packed = await run_in_threadpool(_zip_files, paths, _stem(job))
    disposition = f'attachment; filename="{_stem(job)}.zip"'
    return Response(packed, media_type="application/zip", headers={"Content-Disposition": disposition})


def _zip_files(paths: list[pathlib.Path], stem: str) -> bytes:
    """Returns a .zip of files, within a folder named `stem`."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in paths:
                archive.write(path, f"{stem}/{path.name}")
        file.seek(0)
        return file.read()


def describe_job(store: Store, job: Job) -> dict[str, Any]:
    """Returns a job as the page shows it: its row, the number of jobs ahead of it, and its files."""
    files = [{"name": path.name, "bytes": path.stat().st_size} for path in _results(store, job)]
    place = store.num_jobs_ahead(job) if job.status == QUEUED else 0
    return {**job._asdict(), "place": place, "files": files}


def _results(store: Store, job: Job) -> list[pathlib.Path]:
    """Returns the files of a job that has ended; those of a running job are not complete."""
    if job.status not in ENDED:
        return []
    return sorted(path for path in (store.job_folder(job) / commands.RESULT).glob("[!.]*") if path.is_file())


def _stem(job: Job) -> str:
    """Returns a plain ASCII name for the downloads of a job."""
    stem = "".join(c if c.isascii() and c.isalnum() else "_" for c in pathlib.PurePath(job.name).stem)[:40].strip("_")
    return f"{stem or job.kind}_{job.id[:6]}"


def _job(request: Request) -> Job:
    """Returns the job of a request's address; raises HTTPException (404) where there is none."""
    job = request.app.state.store.job(request.path_params["id"])
    if job is None:
        raise HTTPException(404, "no such job")
    return job


def _upload(request: Request, id: str) -> Upload:
    """Returns an upload; raises HTTPException (404) where there is none."""
    upload = request.app.state.store.upload(id)
    if upload is None:
        raise HTTPException(404, "this file is no longer on the server: upload it again")
    return upload


async def _body(request: Request, most: int, name: str) -> bytes:
    """Returns the request's body; raises HTTPException (413) as soon as it is too large."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise HTTPException(413, f"{name or 'the file'}: larger than the limit of "
                                     f"{most // reading.MEGABYTE or '0.01'} MB")
    return bytes(content)
