"""Item after item, each kept as soon as it is done: an interrupted evaluation goes on where it was.

Beside the result to come, RESULT.json.partial holds one JSON object a line: first what the items
depend on, then the items. Of several processes, which share the items, each has one of its own: .partial.1 and so on.
They are removed once the result is written.
"""

import glob
import json
import pathlib
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Protocol

from launch import app
from launch.distributed import processes
from phasenet.errors import InputError


class EvaluatedItem(Protocol):
    """Anything with an id."""

    id: str


def run_items(cases: Sequence[EvaluatedItem], evaluate: Callable[[EvaluatedItem], dict],
              report: Callable[[dict], str], json_path: str | None, binding: dict) -> list[dict]:
    """An item for each case, in order; a case that fails becomes an item with `error`.

    Of several processes each takes its share, and the chief has all of them at the end; the others have their own.

    Args:
        evaluate: a case to its item, plain numbers and strings.
        report: an item to the words of its progress line.
        json_path: where the result will go, or None: then nothing is kept.
        binding: what the items depend on; items kept under another binding are discarded.
    """
    kept = _Kept(json_path, binding)
    index, count = processes.index(), processes.count()
    items = []
    for number, case in list(enumerate(cases, 1))[index::count]:
        item = kept.items.get(case.id)
        if item is None:
            started = time.perf_counter()
            item = {"id": case.id} | _guarded(evaluate, case)
            kept.add(item)
            words = item["error"] if "error" in item else report(item)
            seconds = time.perf_counter() - started
            app.print_line(f"[{number}/{len(cases)}] {case.id}: {words} ({seconds:.0f} s)")
        items.append(item)
    processes.wait_for_all("items done")
    return _merged(cases, json_path, binding) if count > 1 and processes.is_chief() else items


def _merged(cases: Sequence[EvaluatedItem], json_path: str, binding: dict) -> list[dict]:
    items = _kept_items(json_path, binding, failed=True)
    for case in cases:
        if case.id not in items:
            raise InputError(f"{json_path}: {case.id} is in none of the files {_partial(json_path).name}* beside it; "
                             "all processes need the same folder")
    return [items[case.id] for case in cases]


def finish(result: dict, json_path: str | None) -> None:
    """Writes the result in place of its partial.

    Raises:
        InputError: no item worked (the result is written all the same, and the partial kept).
    """
    if json_path is not None:
        app.write_json(json_path, result)
    items = result["items"]
    if items and all("error" in item for item in items):
        first = items[0]
        raise InputError(f"none of {len(items)} gave a result; {first['id']}: {first['error']}")
    if json_path is not None:
        for path in _partials(json_path):
            path.unlink(missing_ok=True)
        app.print_line(f"written to {json_path}")


def _partial(json_path: str, index: int = 0) -> pathlib.Path:
    return pathlib.Path(f"{json_path}.partial" + (f".{index}" if index else ""))


def _partials(json_path: str) -> list[pathlib.Path]:
    """Those of all processes, of a former run of more of them, too."""
    return sorted(pathlib.Path(path) for path in glob.glob(glob.escape(f"{json_path}.partial") + "*"))


def _guarded(evaluate: Callable[[EvaluatedItem], dict], case: EvaluatedItem) -> dict:
    """The case's item, or {"error": one line}; a fault of ours shows its traceback too."""
    try:
        return evaluate(case)
    except InputError as error:
        return {"error": " ".join(str(error).split())}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


class _Kept:
    """The items of an earlier run of the same binding, and where this process's next ones go."""

    def __init__(self, json_path: str | None, binding: dict) -> None:
        self.items: dict[str, dict] = {}
        self._path = None if json_path is None else _partial(json_path, processes.index())
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.items = _kept_items(json_path, binding)
        header, own = _read(self._path)
        if self.items and processes.is_chief():
            app.print_line(f"{self._path}: {len(self.items)} items are done, going on")
        elif header is not None and not _same(header, binding):
            app.print_line(f"{self._path}: from a run with other flags or weights, begun anew")
        own = [item for item in own if item["id"] in self.items]
        app.write_text(self._path, "".join(json.dumps(row) + "\n" for row in (binding, *own)))

    def add(self, item: dict) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(item) + "\n")


def _kept_items(json_path: str, binding: dict, failed: bool = False) -> dict[str, dict]:
    """The items of that binding that all processes have kept, by id; failed: those too that did not work."""
    found: dict[str, dict] = {}
    for path in _partials(json_path):
        header, items = _read(path)
        for item in items if _same(header, binding) else ():
            if "error" not in item or (failed and item["id"] not in found):
                found[item["id"]] = item
    return found


def _same(header: dict | None, binding: dict) -> bool:
    return header == json.loads(json.dumps(binding))


def _read(path: pathlib.Path) -> tuple[dict | None, list[dict]]:
    """The binding (None without a readable file) and the items, but a last line cut short."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    except (FileNotFoundError, ValueError):
        return None, []
    return (rows[0], rows[1:]) if rows else (None, [])
