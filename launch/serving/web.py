"""The routes: pages, uploads, jobs, their events and files."""

import contextlib
import json
import pathlib
import tempfile
import zipfile
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from launch import app
from launch.pages.templates import filled
from launch.serving import commands, events, frame, reading
from launch.serving.guard import Guard
from launch.serving.jobs import ENDED, QUEUED, Job, QueueFull, Store, Upload
from launch.serving.queue import Queue
from phasenet.errors import InputError

_HERE = pathlib.Path(__file__).parent
_STATIC, _PAGES = _HERE / "static", _HERE.parent / "pages"
# Of the reports': the views and charts are the same here.
_SHARED = ("page.css", "elements.js", "surface.js", "balls.js", "scene.js", "charts.js")
_EXAMPLES = _HERE.parents[1] / "saxsae" / "examples"
EXAMPLE = "example"  # given for an upload's id
_MOST_SETTINGS = 10_000  # bytes
# Address, file and title of each page, and its tab.
_ADDRESSES = (("/", "curve", "Curve to shape", "/"),
              ("/patterson", "patterson", "Patterson map to atoms", "/patterson"),
              ("/runs", "runs", "Runs", "/runs"),
              ("/jobs/{id}", "job", "Run", "/runs"))


def application(folder: pathlib.Path, host: str = "127.0.0.1") -> Starlette:
    """The page that works in a folder. Raises InputError where another one does."""
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

    routes = [Route(address, _page(*page)) for address, *page in _ADDRESSES]
    routes += [Route(f"/pages/{name}", _file(_PAGES / name)) for name in _SHARED]
    routes += [
        Route("/api/uploads", add_upload, methods=["POST"]),
        Route("/api/uploads/{id}", read_upload),
        Route("/api/weights", list_weights),
        Route("/api/jobs", list_jobs),
        Route("/api/jobs", add_job, methods=["POST"]),
        Route("/api/jobs/{id}", one_job),
        Route("/api/jobs/{id}", remove_job, methods=["DELETE"]),
        Route("/api/jobs/{id}/cancel", cancel_job, methods=["POST"]),
        Route("/api/jobs/{id}/again", repeat_job, methods=["POST"]),
        Route("/api/jobs/{id}/events", job_events),
        Route("/jobs/{id}/files/{name}", job_file),
        Route("/jobs/{id}/archive.zip", job_archive),
        Mount("/static", StaticFiles(directory=_STATIC)),
        Mount("/vendor", StaticFiles(directory=_PAGES / "vendor"))]
    made = Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(Guard, host=host)],
                     exception_handlers={InputError: _mistake, HTTPException: _http_error, OSError: _disk_error})
    made.state.store, made.state.stopping = store, lambda: False
    return made


def _page(name: str, title: str, tab: str):
    layout, main = ((_STATIC / f"{part}.html").read_text(encoding="utf-8") for part in ("layout", name))
    layout = layout.replace(f'href="{tab}"', f'href="{tab}" aria-current="page"')
    content = filled(layout, {"title": title, "name": name, "main": main})

    async def answer(_: Request) -> Response:
        return HTMLResponse(content)
    return answer


def _file(path: pathlib.Path):
    async def answer(_: Request) -> Response:
        return FileResponse(path)
    return answer


async def _mistake(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 429 if isinstance(error, QueueFull) else 422)


async def _disk_error(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": app.line_of(error)}, 507)


async def _http_error(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code)


async def add_upload(request: Request) -> Response:
    """Takes a file as the request's body; ?kind= says for what it is, ?name= what the user calls it."""
    store: Store = request.app.state.store
    kind, name = request.query_params.get("kind", ""), request.query_params.get("name", "")
    if kind not in reading.LARGEST:
        raise InputError(f"kind: one of {', '.join(reading.LARGEST)} is needed")
    content = await _body(request, reading.LARGEST[kind], name)
    upload = await run_in_threadpool(store.add_upload, kind, name, content)
    try:
        return JSONResponse(await _reading(store, upload, request.query_params.get("unit") or None))
    except InputError:
        store.remove_upload(upload)
        raise


async def read_upload(request: Request) -> Response:
    """How an upload, or the example, is read; ?unit= in which unit of q."""
    unit = request.query_params.get("unit") or None
    if request.path_params["id"] == EXAMPLE:
        path = _EXAMPLES / "three_lobes.dat"
        found = await run_in_threadpool(reading.read, "curve", path, path.name, unit)
        return JSONResponse({"id": EXAMPLE, "kind": "curve", "name": path.name} | found)
    return JSONResponse(await _reading(request.app.state.store, _upload(request, request.path_params["id"]), unit))


async def _reading(store: Store, upload: Upload, unit: str | None) -> dict[str, Any]:
    found = await run_in_threadpool(reading.read, upload.kind, store.upload_path(upload), upload.name, unit)
    return {"id": upload.id, "kind": upload.kind, "name": upload.name} | found


async def add_job(request: Request) -> Response:
    """Queues a job: {"source", "input", "reference", "settings"}, the second and third ids of uploads."""
    state = request.app.state
    try:
        asked = json.loads(await _body(request, _MOST_SETTINGS, "settings"))
        source, given = asked["source"], asked.get("settings", {})
        if source not in commands.FIELDS or not isinstance(given, dict):
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError("a job is {source, input, reference, settings}") from None
    settings, files, name = commands.checked(source, given), {}, "random atoms"
    for part, kind in (("input", source), ("reference", "reference")):
        if part == "input" and source == "random" or part == "reference" and not asked.get(part):
            continue
        files[kind], called = _given_file(request, asked.get(part), kind)
        if part == "input":
            name = called
        else:
            settings["reference"] = called
    job = await run_in_threadpool(state.store.add, commands.KINDS[source], name, settings, files)
    state.queue.wake()
    return JSONResponse(described(state.store, job), 201)


def _given_file(request: Request, id: Any, kind: str) -> tuple[pathlib.Path, str]:
    if id == EXAMPLE and kind in ("curve", "reference"):
        path = _EXAMPLES / f"three_lobes.{'dat' if kind == 'curve' else 'pdb'}"
        return path, path.name
    upload = _upload(request, str(id))
    if upload.kind != kind:
        raise InputError(f"{upload.name}: was given as {upload.kind}, not as {kind}")
    return request.app.state.store.upload_path(upload), upload.name


async def list_weights(_: Request) -> Response:
    """The released weights by kind of job, and which are taken by default."""
    choices = {kind: commands.FIELDS[kind]["weights"] for kind in ("curve", "patterson")}
    return JSONResponse({kind: {"names": choice.words, "first": choice.default} for kind, choice in choices.items()})


async def list_jobs(request: Request) -> Response:
    """All jobs, the newest first."""
    store: Store = request.app.state.store
    return JSONResponse([described(store, job) for job in store.jobs()])


async def one_job(request: Request) -> Response:
    """A job, and its files."""
    return JSONResponse(described(request.app.state.store, _job(request)))


async def remove_job(request: Request) -> Response:
    """Forgets a job that has ended."""
    await run_in_threadpool(request.app.state.store.remove, _job(request))
    return Response(status_code=204)


async def cancel_job(request: Request) -> Response:
    """Cancels a job that waits or runs."""
    state = request.app.state
    await run_in_threadpool(state.queue.cancel, _job(request))
    return JSONResponse(described(state.store, _job(request)))


async def repeat_job(request: Request) -> Response:
    """Queues the same again: its files and settings."""
    state, job = request.app.state, _job(request)
    folder = state.store.job_folder(job)
    files = {name: folder / name for name in reading.LARGEST if (folder / name).exists()}
    again = await run_in_threadpool(state.store.add, job.kind, job.name, job.settings, files)
    state.queue.wake()
    return JSONResponse(described(state.store, again), 201)


async def job_events(request: Request) -> Response:
    """How a job goes, see `events`."""
    state, job = request.app.state, _job(request)

    def describe() -> dict[str, Any] | None:
        now = state.store.job(job.id)
        return now and described(state.store, now)

    told = events.stream(describe, state.store.job_folder(job), state.stopping)
    return StreamingResponse(told, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def job_file(request: Request) -> Response:
    """One file of a result; ?download to keep it, ?framed to have it in the page."""
    job, name = _job(request), request.path_params["name"]
    path = next((path for path in _results(request.app.state.store, job) if path.name == name), None)
    if path is None:
        raise HTTPException(404, "no such file")
    if "download" in request.query_params:
        return FileResponse(path, filename=f"{_stem(job)}_{name}")
    return await run_in_threadpool(frame.shown, path, "framed" in request.query_params)


async def job_archive(request: Request) -> Response:
    """All files of a result in one .zip."""
    job = _job(request)
    paths = _results(request.app.state.store, job)
    if not paths:
        raise HTTPException(404, "there are no files")
    packed = await run_in_threadpool(_packed, paths, _stem(job))
    disposition = f'attachment; filename="{_stem(job)}.zip"'
    return Response(packed, media_type="application/zip", headers={"Content-Disposition": disposition})


def _packed(paths: list[pathlib.Path], stem: str) -> bytes:
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in paths:
                archive.write(path, f"{stem}/{path.name}")
        file.seek(0)
        return file.read()


def described(store: Store, job: Job) -> dict[str, Any]:
    """A job as the page shows it."""
    files = [{"name": path.name, "bytes": path.stat().st_size} for path in _results(store, job)]
    place = store.place(job) if job.status == QUEUED else 0
    return {**job._asdict(), "place": place, "files": files}


def _results(store: Store, job: Job) -> list[pathlib.Path]:
    """The files of a job that has ended: what a running one writes is not whole."""
    if job.status not in ENDED:
        return []
    return sorted(path for path in (store.job_folder(job) / commands.RESULT).glob("[!.]*") if path.is_file())


def _stem(job: Job) -> str:
    stem = "".join(c if c.isascii() and c.isalnum() else "_" for c in pathlib.PurePath(job.name).stem)[:40].strip("_")
    return f"{stem or job.kind}_{job.id[:6]}"


def _job(request: Request) -> Job:
    job = request.app.state.store.job(request.path_params["id"])
    if job is None:
        raise HTTPException(404, "no such job")
    return job


def _upload(request: Request, id: str) -> Upload:
    upload = request.app.state.store.upload(id)
    if upload is None:
        raise HTTPException(404, "this file is no longer here: give it again")
    return upload


async def _body(request: Request, most: int, name: str) -> bytes:
    """The request's body, refused as soon as it is too large."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise HTTPException(413, f"{name or 'the file'}: larger than the {most // reading.MEGABYTE or '0.01'} MB "
                                     "that are taken")
    return bytes(content)
