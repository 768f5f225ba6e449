"""Thousands of spoilt files through every reader: each is read as something sane, or refused in one line.

    python -m tests.faults.mutate_files [--mutations=2000] [--seed=0] [--reader=NAME] [--only=I] [--keep=DIR]
        [--data=DIR] [--json=FILE]

A fault is: any exception but InputError; a warning, or text on standard error; a message that is not one line, is
long or does not name the file; more than 10 s of processor time or 1 GB of memory for one file; a value that is not
sane. Mutation I of a reader depends on the seed, the reader and I alone: --only with --keep writes its file.
Exits 1 where there are faults.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from phasenet.errors import InputError
from tests import conftest

SECONDS, MEMORY_BYTES = 10, 2**30
MOST_CHARACTERS = 400
FLAGS = "told by launch.app"
_LARGEST_SEED_BYTES = 2 * 2**20


def main() -> int:
    args = _arguments()
    if args.child:
        with tempfile.TemporaryDirectory() as folder:
            _child(args, pathlib.Path(folder))
        return 0
    from tests.faults.readers import READERS

    chosen = [args.reader] if args.reader else list(READERS)
    total = sum(READERS[name].share for name in chosen)
    if not pathlib.Path(args.data).is_dir():
        print(f"no collection of measured data at {args.data}: our own files alone")
    outcomes, faults = {}, []
    print(f"{'reader':>17} {'mutations':>9} {'refused':>8} {'read':>6} {'faults':>7} {'peak MB':>8}")
    for name in chosen:
        count = round(args.mutations * READERS[name].share / total)
        rows = list(_supervise(name, count, args))
        kinds = collections.Counter(row["outcome"] for row in rows)
        faults += [row | {"reader": name} for row in rows if row["outcome"] == "fault"]
        outcomes[name] = {"mutations": len(rows), **{kind: kinds[kind] for kind in ("refused", "read", "fault")},
                          "peak_megabytes": round(max((row.get("bytes", 0) for row in rows), default=0) / 2**20)}
        print(f"{name:>17} " + "{:9d} {:8d} {:6d} {:7d} {:8d}".format(*outcomes[name].values()), flush=True)
    total = [sum(row[key] for row in outcomes.values()) for key in ("mutations", "refused", "read", "fault")]
    print(f"{'all':>17} " + "{:9d} {:8d} {:6d} {:7d} {:8d}".format(
        *total, max(row["peak_megabytes"] for row in outcomes.values())))
    for row in faults:
        print(f"{row['reader']} {row['index']} ({row.get('file', '?')}): {row['text']}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"readers": outcomes, "faults": faults}, indent=1) + "\n")
    return bool(faults)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2000, help="over all readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", help="only this one")
    parser.add_argument("--only", type=int, help="only this mutation")
    parser.add_argument("--keep", help="folder where the spoilt files stay")
    parser.add_argument("--data", default=str(conftest._DATA), help="collection of measured data")
    parser.add_argument("--json", help="write the counts and the faults there")
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def _supervise(name: str, count: int, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows of a reader's mutations; a process that dies of one is a fault, and another goes on after it."""
    start, stop = (0, count) if args.only is None else (args.only, args.only + 1)
    while start < stop:
        command = [sys.executable, "-m", "tests.faults.mutate_files", f"--reader={name}", f"--seed={args.seed}",
                   f"--data={args.data}", "--child", str(start), str(stop)]
        command += [f"--keep={args.keep}"] if args.keep else []
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        begun = None
        for line in child.stdout:
            row = json.loads(line)
            if "outcome" not in row:
                begun = row
                continue
            yield row
            begun, start = None, row["index"] + 1
        if child.wait() == 0:
            return
        if begun is None:
            raise RuntimeError(f"{name}: the process that reads could not begin")
        death = signal.Signals(-child.returncode).name if child.returncode < 0 else f"exit {child.returncode}"
        yield begun | {"outcome": "fault", "text": f"the process died ({death}; SIGPROF: more than {SECONDS} s)"}
        start = begun["index"] + 1


def _child(args: argparse.Namespace, folder: pathlib.Path) -> None:
    from tests.faults.readers import READERS

    reader = READERS[args.reader]
    seeds = make_seeds(args.reader, folder / "seeds", pathlib.Path(args.data))
    for path in seeds:  # what is made but once, programs and tables, is not the file's
        check_file(args.reader, path)
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", DeprecationWarning)  # of libraries to their users: Python does not show them
    out = os.fdopen(os.dup(1), "w", buffering=1)
    errors = tempfile.TemporaryFile()
    os.dup2(errors.fileno(), 2)
    # A request for more fails at once, and is so seen.
    limit = _status("VmSize") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    for index in range(*args.child):
        path, spoilt = spoil(args.reader, seeds, args.seed, index, folder / "spoilt")
        row = {"index": index, "file": spoilt}
        print(json.dumps(row), file=out)
        said = os.fstat(errors.fileno()).st_size
        before = _peak_from_here()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # its signal ends the process
        outcome, text = check_file(args.reader, path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        used = _status("VmHWM") - before
        sys.stderr.flush()
        errors.seek(said)
        lines = errors.read()
        if outcome != "fault" and lines.count(b"\n") != (reader.flags and text == FLAGS):
            outcome, text = "fault", f"on standard error: {lines[:300]!r}"
        elif text == FLAGS:
            text = lines.decode().strip()
            if len(text) > MOST_CHARACTERS:
                outcome, text = "fault", f"a line of {len(text)} characters: {text[:200]!r}"
        if used > MEMORY_BYTES and outcome != "fault":
            outcome, text = "fault", f"{used / 2**20:.0f} MB of memory"
        print(json.dumps(row | {"outcome": outcome, "text": text, "bytes": used}), file=out)
        if args.keep:
            shutil.copytree(folder / "spoilt", pathlib.Path(args.keep) / f"{args.reader}_{index}", dirs_exist_ok=True)


def make_seeds(name: str, folder: pathlib.Path, data: pathlib.Path | None = None) -> list[pathlib.Path]:
    """The good files, or folders, of a reader: our own, and a few from the collection of measured data."""
    from tests.faults.readers import READERS

    folder.mkdir(parents=True)
    READERS[name].make(folder)
    own = sorted(folder.iterdir())
    found = [path for pattern in READERS[name].data for path in (sorted(data.glob(pattern)) if data else [])]
    return own + [path for path in found if path.stat().st_size < _LARGEST_SEED_BYTES]


def spoil(name: str, seeds: list[pathlib.Path], seed: int, index: int,
          folder: pathlib.Path) -> tuple[pathlib.Path, str]:
    """A spoilt copy of one of the seeds, and the name of the file that was changed."""
    from tests.faults.mutations import mutate

    rng = np.random.default_rng((seed, zlib.crc32(name.encode()), index))
    source = seeds[rng.integers(len(seeds))]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / source.name
    if source.is_file():
        path.write_bytes(mutate(rng, source.read_bytes(), source.name))
        return path, source.name
    shutil.copytree(source, path)
    inner = sorted(item for item in path.rglob("*") if item.is_file())
    chosen = inner[rng.integers(len(inner))]
    chosen.write_bytes(mutate(rng, chosen.read_bytes(), chosen.name))
    return path, str(chosen.relative_to(folder))


def check_file(name: str, path: pathlib.Path) -> tuple[str, str]:
    """("read", ""), ("refused", message) or ("fault", what)."""
    from tests.faults.readers import READERS

    reader = READERS[name]
    try:
        reader.check(reader.read(str(path)))
    except InputError as error:
        message = str(error)
    except SystemExit as error:
        if reader.flags and error.code in (1, 2):
            return "refused", FLAGS
        return "fault", f"exit code {error.code}"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return "fault", f"{type(error).__name__}: {str(error)[:200]!r} at {place.filename[-40:]}:{place.lineno}"
    else:
        return "read", ""
    own = message.replace(str(path), "")
    wrong = ["more than one line"] * ("\n" in message) + ["too long"] * (len(own) > MOST_CHARACTERS)
    wrong += ["does not name the file"] * (not reader.flags and str(path) not in message)
    wrong += ["characters that do not print"] * (not message.isprintable())
    if wrong:
        return "fault", f"message: {', '.join(wrong)}: {own[:200]!r}"
    return "refused", message


def _peak_from_here() -> int:
    """Memory now, in bytes; the kernel's peak begins anew."""
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    return _status("VmHWM")


def _status(field: str) -> int:
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    sys.exit(main())
