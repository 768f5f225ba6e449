"""Downloads entries of the Small Angle Scattering Biological Data Bank, each into a folder; for `launch.fetch_sasbdb`.

    ID/profile.dat      the measured curve; if the entry has none, the points of
                        its GNOM output (profile.out) or sasCIF (profile.sascif)
    ID/reference.pdb    the entry's first atomic model, else its first model (or .cif)
    ID/model_2.pdb ...  the other models
    ID/entry.json       the metadata as served
    ID/source.json      where all files came from, and what was missing

An entry with source.json is complete and not downloaded again.
"""

import contextlib
import json
import os
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from phasenet.errors import InputError, one_line
from phasenet.io.atomic_writes import replacing
from phasenet.io.servers import ids as entry_ids
from phasenet.io.servers.download import DownloadFailed, Server, UnusableFile, check_not_web_page
from phasenet.io.servers.entries import EntryDownloads, download_each
from saxsae.io.curves.measured_curves import Curve, read_curve
from saxsae.io.structures.structure_files import read_structure

URL = "https://www.sasbdb.org"
_ID = re.compile(r"SAS[A-Z][A-Z0-9]{3,5}")
_ID_KIND, _ID_EXAMPLE = "SASBDB id", "seven characters such as SASDA28"
# Metadata come from the data bank's REST interface, which the server documents at /rest-api/docs/. This module reads
# the fields named below and in `_list_models`, and `code`, `angular_unit`, `long_name` and `doi`. Every field may be
# absent, and entries nest their models differently, so models are searched for at every depth.
_CURVE_FILES = {"intensities_data": "profile.dat", "pddf_data": "profile.out", "sascif_data": "profile.sascif"}
_MODEL_FILE = re.compile(r"\S+\.(pdb|ent|cif|mmcif)(\.gz)?", re.IGNORECASE)
_MMCIF = re.compile(r"\.(mm)?cif(\.gz)?$", re.IGNORECASE)
_MAX_MODELS = 20  # of one entry, of which an ensemble may have hundreds
_MAX_ENTRY_BYTES, _MAX_CURVE_BYTES, _MAX_MODEL_BYTES = 2**24, 2**26, 2**28


class Entry(NamedTuple):
    """An entry of the data bank, as downloaded into its folder.

    Attributes:
      id: the entry's id, such as "SASDA28".
      profile: the file of the curve, None where the entry has none that can be read.
      reference: the file of the reference model, None where the entry has no model that can be read.
      models: the number of models in the folder, the reference included.
      notes: what was missing, left out or contradictory; one line each.
    """

    id: str
    profile: pathlib.Path | None
    reference: pathlib.Path | None
    models: int
    notes: tuple[str, ...]


class _Model(NamedTuple):
    """A model as the metadata describe it; source.json holds these fields."""

    address: str
    kind: str
    software: str
    pdb_ids: tuple[str, ...]


def parse_ids(text: str) -> list[str]:
    """Returns the ids in a text such as "SASDA28,SASDAC2", in upper case, each once.

    Args:
      text: ids separated by commas, semicolons or blanks; or the name of a text file of ids (see
        `phasenet.io.servers.ids.read_ids`).

    Raises:
      InputError: the text is neither, or the file cannot be read, has no id, or has a word that is not an id.
    """
    return entry_ids.parse_ids(text, _ID, _ID_KIND, _ID_EXAMPLE, str.upper)


def download_entries(ids: Iterable[str], folder: str | os.PathLike, url: str = URL,
                     report: Callable[[str], None] | None = None, workers: int = 2, **server_options: Any
                     ) -> EntryDownloads[Entry]:
    """Downloads entries, each into folder/ID; files that are already there are not downloaded again.

    Args:
      ids: ids in upper case, each once.
      folder: made if it does not exist.
      url: the server. Files that an entry's metadata place on another server are not downloaded.
      report: called with a line of progress every few seconds.
      workers: how many entries are downloaded at the same time.
      **server_options: further arguments of `Server` (attempts, pause_seconds, timeout_seconds).

    Raises:
      InputError: an id is not one of the data bank's, `url` is not an http(s) address, or several entries in a row
        failed; a later run continues there.
    """
    return download_each(_fetch_entry, ids, folder, Server(url, workers, **server_options), report, _ID, _ID_KIND,
                         _ID_EXAMPLE)


def _fetch_entry(server: Server, entry_id: str, folder: pathlib.Path) -> Entry | None:
    """Returns one entry, downloaded where it is not there yet; None where the server has no such entry."""
    complete = _read_source(folder)
    if complete is not None:
        return complete
    folder.mkdir(parents=True, exist_ok=True)
    metadata = folder / "entry.json"
    notes: list[str] = []
    address = f"{server.url}/rest-api/entry/summary/{entry_id}.json"
    if not metadata.is_file() and not server.fetch(address, metadata, lambda path: _read_entry(path, entry_id),
                                                   _MAX_ENTRY_BYTES):
        with contextlib.suppress(OSError):  # the folder stays where it holds other files
            folder.rmdir()
        return None
    try:
        entry = _read_entry(metadata, entry_id)
    except ValueError as error:  # the file comes from an earlier run, or was put there by hand
        raise UnusableFile(f"{metadata}: {error}; delete this file to have it downloaded again") from None
    profile = _fetch_curve(server, entry, folder, notes)
    reference, models = _fetch_models(server, entry, folder, notes)
    _write_source(server, entry_id, entry, folder, profile, models, notes)
    return Entry(entry_id, profile, reference, len(models), tuple(notes))


def _read_entry(path: pathlib.Path, entry_id: str) -> dict:
    """Returns an entry's metadata; raises ValueError where the file is something else."""
    try:
        entry = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError("the answer is not JSON") from None
    if not isinstance(entry, dict) or _one_line_text(entry.get("code")) not in ("", entry_id):
        raise ValueError(f"the answer is not the entry {entry_id}")
    return entry


def _fetch_curve(server: Server, entry: dict, folder: pathlib.Path, notes: list[str]) -> pathlib.Path | None:
    """Returns the first of the entry's curves that can be downloaded and read, None where there is none."""
    for key, name in _CURVE_FILES.items():
        address, target = _resolve_address(server, entry.get(key)), folder / name
        if address is None or not _fetch_file(server, address, target, _MAX_CURVE_BYTES, notes):
            continue
        try:
            curve = read_curve(target)
        except InputError as error:
            notes.append(f"its {key} cannot be read ({error})")
            target.unlink()
            continue
        _note_unit_conflict(curve, entry.get("angular_unit"), notes)
        # An earlier run may have found another curve, when the server lacked this one.
        for other in {*_CURVE_FILES.values()} - {name}:
            (folder / other).unlink(missing_ok=True)
        return target
    notes.append("it has no curve")
    return None


def _note_unit_conflict(curve: Curve, stated: Any, notes: list[str]) -> None:
    """Adds a note where the entry states another unit of q than the curve was read with."""
    if stated in ("1/A", "1/nm") and stated != curve.unit:
        notes.append(f"q is read in {curve.unit}, but the entry says {stated}; "
                     "give the right one to launch.reconstruct as --unit")


def _fetch_models(server: Server, entry: dict, folder: pathlib.Path, notes: list[str]
                  ) -> tuple[pathlib.Path | None, dict[str, _Model]]:
    """Returns the reference's file, and the downloaded models by file name, the reference first."""
    wanted = _list_models(server, entry)
    fetched: dict[str, _Model] = {}
    if len(wanted) > _MAX_MODELS:
        notes.append(f"only {_MAX_MODELS} of its {len(wanted)} models were downloaded")
    for number, model in enumerate(wanted[:_MAX_MODELS], 1):
        path = urllib.parse.urlsplit(model.address).path
        target = folder / f"model_{number}{'.cif' if _MMCIF.search(path) else '.pdb'}"
        if not _fetch_file(server, model.address, target, _MAX_MODEL_BYTES, notes):
            continue
        try:
            if not fetched:
                read_structure(target, assembly=None)
        except InputError as error:
            notes.append(f"a model cannot be read ({error})")
            target.unlink()
        else:
            fetched[target.name] = model
    if not fetched:
        notes.append("it has no model")
        return None, {}
    # Renamed last: until all models are there, a later run finds each under its number.
    first = folder / next(iter(fetched))
    reference = first.replace(folder / f"reference{first.suffix}")
    return reference, {reference.name: fetched.pop(first.name), **fetched}


def _list_models(server: Server, entry: dict) -> list[_Model]:
    """Returns the models that have a file, atomic ones first, otherwise in the entry's order."""
    models: dict[str, _Model] = {}
    for node in _walk_json(entry):
        address = _resolve_address(server, node.get("model_data")) if isinstance(node, dict) else None
        if address is not None:
            links = node.get("pdb_link") if isinstance(node.get("pdb_link"), list) else []
            codes = (link.get("pdb_code") for link in links if isinstance(link, dict))
            models.setdefault(address, _Model(
                address, _one_line_text(node.get("type_of_model")), _one_line_text(node.get("software")),
                tuple(filter(None, map(_one_line_text, codes)))))
    if not models:
        files = (node for node in _walk_json(entry) if isinstance(node, str) and _MODEL_FILE.fullmatch(node))
        models = {address: _Model(address, "", "", ()) for file in files if (address := _resolve_address(server, file))}
    return sorted(models.values(), key=lambda model: model.kind.lower() != "atomic")


def _walk_json(tree: Any) -> Iterator[Any]:
    """Yields every value in parsed JSON, at every depth, in order."""
    stack = [tree]  # recursion would fail on a tree that a server nests too deep
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, (dict, list)):
            stack.extend(reversed(list(node.values()) if isinstance(node, dict) else node))


def _resolve_address(server: Server, value: Any) -> str | None:
    """Returns the full address of a file that the metadata name, None where `value` is no address."""
    if not _one_line_text(value):
        return None
    try:
        parts = urllib.parse.urlsplit(urllib.parse.urljoin(f"{server.url}/", _one_line_text(value)))
    except ValueError:
        return None
    if parts.scheme == "http" and server.url.startswith("https:"):
        parts = parts._replace(scheme="https")
    return parts._replace(path=urllib.parse.quote(parts.path, safe="/%:@"),
                          query=urllib.parse.quote(parts.query, safe="=&%"), fragment="").geturl()


def _fetch_file(server: Server, address: str, target: pathlib.Path, max_bytes: int, notes: list[str]) -> bool:
    """Returns whether the file is at `target` now; adds a note for a failure that no later attempt can mend."""
    if target.is_file():
        return True
    try:
        if not server.holds(address):
            raise UnusableFile(f"not on {server.url}, so not downloaded")
        if server.fetch(address, target, check_not_web_page, max_bytes):
            return True
        notes.append(one_line(f"{address}: the server has no such file"))
    except UnusableFile as error:
        notes.append(one_line(f"{address}: {error}"))
    except DownloadFailed as error:
        raise DownloadFailed(f"{address}: {error}") from None
    return False


def _write_source(server: Server, entry_id: str, entry: dict, folder: pathlib.Path, profile: pathlib.Path | None,
                  models: dict[str, _Model], notes: list[str]) -> None:
    """Writes source.json, which marks the entry as complete."""
    inner = [node for node in _walk_json(entry) if isinstance(node, dict)]
    names = [_one_line_text(node.get("long_name")) for node in inner]
    source = {
        "id": entry_id, "protein": ", ".join(dict.fromkeys(filter(None, names))),
        "entry": f"{server.url}/data/{entry_id}/",
        "doi": next(filter(None, (_one_line_text(node.get("doi")) for node in inner)), ""),
        "q_unit": _one_line_text(entry.get("angular_unit")), "profile": profile.name if profile else None,
        "models": [{"file": name, **model._asdict()} for name, model in models.items()], "notes": notes}
    with replacing(folder / "source.json") as part:
        pathlib.Path(part).write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")


def _read_source(folder: pathlib.Path) -> Entry | None:
    """Returns the entry that an earlier run completed, None where there is none or a file of it is gone."""
    try:
        source = json.loads((folder / "source.json").read_bytes())
        files = [folder / model["file"] for model in source["models"]]
        profile = folder / source["profile"] if source["profile"] else None
        if all(file.is_file() for file in (*files, *filter(None, [profile]))):
            return Entry(folder.name, profile, files[0] if files else None, len(files), tuple(source["notes"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _one_line_text(value: Any) -> str:
    """Returns a string with its white space made single blanks; "" for a value of another type."""
    return " ".join(value.encode("utf-8", "replace").decode().split()) if isinstance(value, str) else ""
