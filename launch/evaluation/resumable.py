"""Evaluates items one after another and keeps each on disk, so that an interrupted evaluation can be resumed.

RESULT.json.partial holds one JSON object per line: first the settings on which the items depend, then the items. When
several processes share the items, each writes its own file: RESULT.json.partial, RESULT.json.partial.1 and so on.
`write_result` removes these files. `launch.evaluate` calls this module, and two suites of `launch.benchmark`.
"""

import glob
import json
import pathlib
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from launch import app
from launch.distributed import processes
from phasenet.errors import InputError


class EvaluatedItem(Protocol):
    """A case with an id."""

    @property
    def id(self) -> str:
        """Name of the case, unique among the cases."""


ItemT = TypeVar("ItemT", bound=EvaluatedItem)


def run_items(cases: Sequence[ItemT], evaluate: Callable[[ItemT], dict[str, Any]],
              report: Callable[[dict[str, Any]], str], json_path: str | None,
              settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Evaluates the cases and prints a line for each; several processes share them.

    Args:
      cases: the cases, the same ones in all processes.
      evaluate: returns the item of a case, in JSON's types. An exception becomes the item {"error": one line}.
      report: returns the text of an item's progress line.
      json_path: the file for the result, beside which the items are kept; None keeps no items.
      settings: what the items depend on. Items that were kept with other settings are discarded.

    Returns:
      The items with their "id", in the order of the cases. Process 0 returns all items; every other process returns
      its own share.

    Raises:
      InputError: the processes do not see the same folder.
    """
    kept = _KeptItems(json_path, settings)
    index, count = processes.index(), processes.count()
    items = []
    for number, case in list(enumerate(cases, 1))[index::count]:
        item = kept.items.get(case.id)
        if item is None:
            started = time.perf_counter()
            item = {"id": case.id} | _evaluate_or_error(evaluate, case)
            kept.add(item)
            words = item["error"] if "error" in item else report(item)
            seconds = time.perf_counter() - started
            app.print_line(f"[{number}/{len(cases)}] {case.id}: {words} ({seconds:.0f} s)")
        items.append(item)
    processes.wait_for_all("items done")
    if count == 1 or not processes.is_chief():
        return items
    assert json_path is not None  # several processes meet in its folder
    return _merge(cases, json_path, settings)


def _merge(cases: Sequence[EvaluatedItem], json_path: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the items that all processes have kept, in the order of the cases."""
    items = _read_kept(json_path, settings, failed=True)
    for case in cases:
        if case.id not in items:
            raise InputError(f"{json_path}: {case.id} is in none of the files {_partial(json_path).name}* beside it: "
                             "give a file in a folder that all processes share")
    return [items[case.id] for case in cases]


def write_result(result: dict[str, Any], json_path: str | None) -> None:
    """Writes the result and removes the files of kept items.

    Args:
      result: the whole result, with "items".
      json_path: the file for the result; None writes no file.

    Raises:
      InputError: every item has an error. The result is written, and the kept items stay.
    """
    if json_path is not None:
        app.write_json(json_path, result)
    items = result["items"]
    if items and all("error" in item for item in items):
        first = items[0]
        raise InputError(f"none of {len(items)} cases gave a result; {first['id']}: {first['error']}")
    if json_path is not None:
        remove_kept_items(json_path)
        app.print_line(f"written to {json_path}")


def remove_kept_items(json_path: str) -> None:
    """Removes the files of kept items, after the result is written."""
    for path in _partials(json_path):
        path.unlink(missing_ok=True)


def _partial(json_path: str, index: int = 0) -> pathlib.Path:
    """Returns the file of the items that a process keeps."""
    return pathlib.Path(f"{json_path}.partial" + (f".{index}" if index else ""))


def _partials(json_path: str) -> list[pathlib.Path]:
    """Returns the existing files of kept items, also those of an earlier run with more processes."""
    return sorted(pathlib.Path(path) for path in glob.glob(glob.escape(f"{json_path}.partial") + "*"))


def _evaluate_or_error(evaluate: Callable[[ItemT], dict[str, Any]], case: ItemT) -> dict[str, Any]:
    """Returns the item of a case, or {"error": one line}; the traceback of a bug is printed."""
    try:
        return evaluate(case)
    except InputError as error:
        return {"error": " ".join(str(error).split())}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


class _KeptItems:
    """The items that were kept with the same settings, by id; `add` appends another to this process's file."""

    def __init__(self, json_path: str | None, settings: dict[str, Any]) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self._path: pathlib.Path | None = None
        if json_path is None:
            return
        self._path = _partial(json_path, processes.index())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.items = _read_kept(json_path, settings)
        header, own = _read(self._path)
        if self.items and processes.is_chief():
            app.print_line(f"{self._path}: {len(self.items)} items are done, the others follow")
        elif header is not None and not _has_settings(header, settings):
            app.print_line(f"{self._path}: from a run with other flags or weights; all items are evaluated again")
        own = [item for item in own if item["id"] in self.items]
        app.write_text(self._path, "".join(json.dumps(row) + "\n" for row in (settings, *own)))

    def add(self, item: dict[str, Any]) -> None:
        """Keeps an item on disk."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(item) + "\n")


def _read_kept(json_path: str, settings: dict[str, Any], failed: bool = False) -> dict[str, dict[str, Any]]:
    """Returns by id the items that all processes kept with these settings; with `failed` also those with errors."""
    found: dict[str, dict[str, Any]] = {}
    for path in _partials(json_path):
        header, items = _read(path)
        for item in items if _has_settings(header, settings) else ():
            if "error" not in item or (failed and item["id"] not in found):
                found[item["id"]] = item
    return found


def _has_settings(header: dict[str, Any] | None, settings: dict[str, Any]) -> bool:
    """Returns whether the first line of a file of kept items states these settings."""
    return header == json.loads(json.dumps(settings))


def _read(path: pathlib.Path) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Returns settings and items of a file of kept items, without an incomplete last line.

    A missing or damaged file gives (None, []).
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    except (FileNotFoundError, ValueError):
        return None, []
    return (rows[0], rows[1:]) if rows else (None, [])
