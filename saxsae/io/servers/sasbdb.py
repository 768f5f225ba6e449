"""Entries of the Small Angle Scattering Biological Data Bank: a folder each, with curve, models and metadata.

    ID/profile.dat      the measured curve; without one the points of the entry's
                        GNOM output (profile.out) or its sasCIF (profile.sascif)
    ID/reference.pdb    its model, or .cif: an atomic one, else the first
    ID/model_2.pdb ...  the others
    ID/entry.json       the metadata as served
    ID/source.json      where all this came from, and what was missing

Once source.json is there, nothing is asked for again. The metadata are those of the data bank's REST interface, which
its /rest-api/docs/ tells of. What is used of them: `intensities_data`, `pddf_data` and `sascif_data` (addresses of
files); `fits`, each with `models`, each with `model_data` (an address), `type_of_model` ("atomic", "dummy", ...),
`software` and `pdb_link`; `angular_unit`; names and publication. Entries differ, so models are found wherever they
nest, and what else is absent is not needed.
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
from saxsae.io.curves.measured_curves import Curve, read_curve
from saxsae.io.servers.download import DownloadFailed, Server, UnusableFile, read_ids
from saxsae.io.structures.structure_files import read_structure

URL = "https://www.sasbdb.org"
_ID = re.compile(r"SAS[A-Z][A-Z0-9]{3,5}")
_WANTED = "seven characters such as SASDA28"
_CURVES = {"intensities_data": "profile.dat", "pddf_data": "profile.out", "sascif_data": "profile.sascif"}
_MODEL_FILE = re.compile(r"\S+\.(pdb|ent|cif|mmcif)(\.gz)?", re.IGNORECASE)
_MMCIF = re.compile(r"\.(mm)?cif(\.gz)?$", re.IGNORECASE)
_MOST_MODELS = 20  # an ensemble may have hundreds
_ENTRY_BYTES, _CURVE_BYTES, _MODEL_BYTES = 2**24, 2**26, 2**28


class Entry(NamedTuple):
    """An entry as it now lies in its folder.

    Attributes:
      id: "SASDA28" or the like.
      profile, reference: files, None where it has none that can be read.
      models: how many of its models are there, the reference included.
      notes: what was missing or left out, and what to mind; one line each.
    """

    id: str
    profile: pathlib.Path | None
    reference: pathlib.Path | None
    models: int
    notes: tuple[str, ...]


class EntryDownloads(NamedTuple):
    """What became of the entries asked for.

    Attributes:
      entries: those that the server has, in the order asked.
      unknown: ids that it does not have.
      failed: (id, reason) of what was given up after the last attempt.
    """

    entries: list[Entry]
    unknown: list[str]
    failed: list[tuple[str, str]]


class _Model(NamedTuple):
    address: str
    kind: str
    software: str
    pdb_ids: tuple[str, ...]


def parse_ids(text: str) -> list[str]:
    """Ids from "SASDA28,SASDAC2", or from the text file of that name, in upper case, each once.

    Raises:
      InputError: none in it, or a word that is no id.
    """
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    wrong = next((word for word in words or [text] if not _ID.fullmatch(word.upper())), None)
    if wrong is None:
        return list(dict.fromkeys(word.upper() for word in words))
    if os.path.exists(text):
        return read_ids(text, _ID, "SASBDB id", _WANTED, str.upper)
    raise InputError(f"{wrong[:60]!r} is no SASBDB id, nor a file; {_WANTED} is needed")


def download_entries(ids: Iterable[str], folder: str | os.PathLike, url: str = URL,
             say: Callable[[str], None] | None = None, workers: int = 2, **manners: Any) -> EntryDownloads:
    """Fetches entries into folders of `folder`, keeping what is already there.

    Args:
      ids: of entries.
      folder: made where missing.
      url: server. Files that its metadata place on another are not fetched.
      say: told now and then how far it is.
      workers: connections at a time. manners: how it is asked besides, as `download.Server` takes it.

    Raises:
      InputError: what is no id; several entries in a row could not be had: what came is kept, another run goes on
        from there.
    """
    ids, server = list(ids), Server(url, workers, **manners)
    for entry_id in ids:
        if not _ID.fullmatch(entry_id):  # it becomes the name of a folder
            raise InputError(f"{entry_id[:60]!r} is no SASBDB id; {_WANTED} is needed")
    found, failed = server.each(ids, lambda i: _fetch_entry(server, i, pathlib.Path(folder) / i), say)
    return EntryDownloads([found[i] for i in ids if found.get(i)], [i for i in ids if i in found and not found[i]],
                     [(i, failed[i]) for i in ids if i in failed])


def _fetch_entry(server: Server, entry_id: str, folder: pathlib.Path) -> Entry | None:
    there = _read_source(folder)
    if there is not None:
        return there
    folder.mkdir(parents=True, exist_ok=True)
    metadata, notes = folder / "entry.json", []
    address = f"{server.url}/rest-api/entry/summary/{entry_id}.json"
    if not metadata.is_file() and not server.fetch(address, metadata, lambda path: _read_entry(path, entry_id),
                                                   _ENTRY_BYTES):
        with contextlib.suppress(OSError):  # not empty: then it is not ours alone
            folder.rmdir()
        return None
    try:
        entry = _read_entry(metadata, entry_id)
    except ValueError as error:  # of an earlier run, or put there by hand
        raise UnusableFile(f"{metadata}: {error}; without it, it is fetched anew") from None
    profile = _fetch_curve(server, entry, folder, notes)
    reference, models = _fetch_models(server, entry, folder, notes)
    _write_source(server, entry_id, entry, folder, profile, models, notes)
    return Entry(entry_id, profile, reference, len(models), tuple(notes))


def _read_entry(path: pathlib.Path, entry_id: str) -> dict:
    """The metadata; ValueError where the file is something else."""
    try:
        entry = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError("the answer is not JSON") from None
    if not isinstance(entry, dict) or _text(entry.get("code")) not in ("", entry_id):
        raise ValueError(f"the answer is not the entry {entry_id}")
    return entry


def _fetch_curve(server: Server, entry: dict, folder: pathlib.Path, notes: list[str]) -> pathlib.Path | None:
    for key, name in _CURVES.items():
        address, target = _address(server, entry.get(key)), folder / name
        if address is None or not _fetch(server, address, target, _CURVE_BYTES, notes):
            continue
        try:
            curve = read_curve(target)
        except InputError as error:
            notes.append(f"its {key} cannot be read ({error})")
            target.unlink()
            continue
        _mind_unit(curve, entry.get("angular_unit"), notes)
        for other in {*_CURVES.values()} - {name}:  # of an earlier run that met another server
            (folder / other).unlink(missing_ok=True)
        return target
    notes.append("it has no curve")
    return None


def _mind_unit(curve: Curve, stated: Any, notes: list[str]) -> None:
    if stated in ("1/A", "1/nm") and stated != curve.unit:
        notes.append(f"q is taken for {curve.unit}, but the entry says {stated}: see which is right, --unit decides")


def _fetch_models(server: Server, entry: dict, folder: pathlib.Path, notes: list[str]
                  ) -> tuple[pathlib.Path | None, dict[str, _Model]]:
    """The reference, and the models that came by their files' names, the reference first."""
    wanted, came = _models(server, entry), {}
    if len(wanted) > _MOST_MODELS:
        notes.append(f"of its {len(wanted)} models {_MOST_MODELS} were taken")
    for number, model in enumerate(wanted[:_MOST_MODELS], 1):
        path = urllib.parse.urlsplit(model.address).path
        target = folder / f"model_{number}{'.cif' if _MMCIF.search(path) else '.pdb'}"
        if not _fetch(server, model.address, target, _MODEL_BYTES, notes):
            continue
        try:
            if not came:
                read_structure(target, assembly=None)
        except InputError as error:
            notes.append(f"a model cannot be read ({error})")
            target.unlink()
        else:
            came[target.name] = model
    if not came:
        notes.append("it has no model")
        return None, {}
    # Last: while models are still missing, another run finds each under its number.
    first = folder / next(iter(came))
    reference = first.replace(folder / f"reference{first.suffix}")
    return reference, {reference.name: came.pop(first.name), **came}


def _models(server: Server, entry: dict) -> list[_Model]:
    """Those with a file, atomic ones first, else in the order of the entry."""
    models = {}
    for node in _nodes(entry):
        address = _address(server, node.get("model_data")) if isinstance(node, dict) else None
        if address is not None:
            links = node.get("pdb_link") if isinstance(node.get("pdb_link"), list) else []
            codes = (link.get("pdb_code") for link in links if isinstance(link, dict))
            models.setdefault(address, _Model(address, _text(node.get("type_of_model")), _text(node.get("software")),
                                              tuple(filter(None, map(_text, codes)))))
    if not models:
        files = (node for node in _nodes(entry) if isinstance(node, str) and _MODEL_FILE.fullmatch(node))
        models = {address: _Model(address, "", "", ()) for file in files if (address := _address(server, file))}
    return sorted(models.values(), key=lambda model: model.kind.lower() != "atomic")


def _nodes(tree: Any) -> Iterator[Any]:
    """Every value in parsed JSON, in its order, however deep."""
    left = [tree]  # not by recursion: the tree is a stranger's
    while left:
        node = left.pop()
        yield node
        if isinstance(node, (dict, list)):
            left.extend(reversed(list(node.values()) if isinstance(node, dict) else node))


def _address(server: Server, value: Any) -> str | None:
    """The address in full of a file that the metadata name; None where they name none."""
    if not _text(value):
        return None
    try:
        parts = urllib.parse.urlsplit(urllib.parse.urljoin(f"{server.url}/", _text(value)))
    except ValueError:
        return None
    if parts.scheme == "http" and server.url.startswith("https:"):
        parts = parts._replace(scheme="https")
    return parts._replace(path=urllib.parse.quote(parts.path, safe="/%:@"),
                          query=urllib.parse.quote(parts.query, safe="=&%"), fragment="").geturl()


def _fetch(server: Server, address: str, target: pathlib.Path, most_bytes: int, notes: list[str]) -> bool:
    """Whether the file is there; what another attempt will not mend becomes a note."""
    if target.is_file():
        return True
    try:
        if not server.holds(address):
            raise UnusableFile(f"not on {server.url}: not followed")
        if server.fetch(address, target, _check_no_page, most_bytes):
            return True
        notes.append(one_line(f"{address}: the server has no such file"))
    except UnusableFile as error:
        notes.append(one_line(f"{address}: {error}"))
    except DownloadFailed as error:
        raise DownloadFailed(f"{address}: {error}") from None
    return False


def _check_no_page(path: pathlib.Path) -> None:
    with open(path, "rb") as file:
        head = file.read(200).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head or head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ValueError("the answer is a web page" if head else "the answer is empty")


def _write_source(server: Server, entry_id: str, entry: dict, folder: pathlib.Path, profile: pathlib.Path | None,
                  models: dict[str, _Model], notes: list[str]) -> None:
    inner = [node for node in _nodes(entry) if isinstance(node, dict)]
    names = [_text(node.get("long_name")) for node in inner]
    source = {
        "id": entry_id, "protein": ", ".join(dict.fromkeys(filter(None, names))),
        "entry": f"{server.url}/data/{entry_id}/",
        "doi": next(filter(None, (_text(node.get("doi")) for node in inner)), ""),
        "q_unit": _text(entry.get("angular_unit")), "profile": profile.name if profile else None,
        "models": [{"file": name, **model._asdict()} for name, model in models.items()], "notes": notes}
    with replacing(folder / "source.json") as part:
        pathlib.Path(part).write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")


def _read_source(folder: pathlib.Path) -> Entry | None:
    """An entry that an earlier run saw to the end, if its files are still there."""
    try:
        source = json.loads((folder / "source.json").read_bytes())
        files = [folder / model["file"] for model in source["models"]]
        profile = folder / source["profile"] if source["profile"] else None
        if all(file.is_file() for file in (*files, *filter(None, [profile]))):
            return Entry(folder.name, profile, files[0] if files else None, len(files), tuple(source["notes"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _text(value: Any) -> str:
    """A text in one line; "" for what is none."""
    return " ".join(value.encode("utf-8", "replace").decode().split()) if isinstance(value, str) else ""
