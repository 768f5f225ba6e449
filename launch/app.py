"""The one way in for every launch: flags, one-line errors, exit codes, messages, result files.

Exit codes: 0 done; 1 a bad value or file; 2 an unknown or missing flag; 130 interrupted. A user's
mistake is one line on standard error; anything else is a fault of ours and keeps its traceback.
"""

import contextlib
import errno
import json
import math
import os
import pathlib
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import absl.app
from absl import flags, logging

from phasenet.errors import InputError, one_line

# On CPU each program read back from the cache is met with a page about "+prefer-no-gather", a mere
# tuning preference (https://github.com/jax-ml/jax/issues/38445); the program is used all the same.
# Read when jax is first imported, therefore here; 1 is what jax itself sets, and bequeaths to us
# where a notebook that uses it starts a launch.
if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

EXIT_BAD_VALUE = 1
EXIT_BAD_FLAG = 2
EXIT_INTERRUPTED = 130

_OS_ERRORS = {
    errno.ENOENT: "no such file or folder",
    errno.EACCES: "permission denied",
    errno.EROFS: "lies on a read-only disk",
    errno.ENOSPC: "no space left on the disk",
    errno.EISDIR: "is a folder, a file was expected",
    errno.ENOTDIR: "is a file, a folder was expected",
    errno.EEXIST: "exists and is not a folder",
}


def print_line(message: str = "") -> None:
    """Prints a message to people, at once (a pipe would hold it back)."""
    print(message, flush=True)


def table(rows: list[tuple[str, str, str]], timing: dict[str, float]) -> str:
    """Lines of what, how much, and more about it; the last of timing's wall_seconds and cpu_seconds."""
    rows = [*rows, ("wall seconds", f"{timing['wall_seconds']:.0f}", f"CPU {timing['cpu_seconds']:.0f}")]
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"{name:<{width}}  {value:>8}   {more}".rstrip() for name, value, more in rows)


def run(main: Callable[[list[str]], int | None]) -> NoReturn:
    """Parses the flags, calls main(argv) and leaves with an exit code as described above."""
    try:
        absl.app.run(lambda argv: _guarded(main, argv), flags_parser=_parse)
    except KeyboardInterrupt:
        _refuse("interrupted", EXIT_INTERRUPTED)
    raise AssertionError("absl.app.run does not return")


def _guarded(main: Callable[[list[str]], int | None], argv: list[str]) -> int | None:
    """main's exit code; what the user can mend becomes one line."""
    try:
        return main(argv)
    except BrokenPipeError:
        # The reader of our output has left (`| head`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        line = line_of(error)
        if line is None:
            raise
        print_error(line)
    return EXIT_BAD_VALUE


def line_of(error: BaseException) -> str | None:
    """What to say of a user's mistake, or of an error of the machine or its files; None for a fault of ours."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return _os_error_line(error)
    if "No space left on device" in str(error):  # as TensorStore wraps it
        place = re.search(r'local file "([^"]+)"', str(error))
        return f"{place[1] if place else _first_line(error)}: no space left on the disk"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return f"out of memory (a smaller batch or count needs less): {_first_line(error)}"
    return None


def _os_error_line(error: OSError) -> str:
    reason = _OS_ERRORS.get(error.errno, error.strerror or type(error).__name__)
    return f"{error.filename}: {reason}" if error.filename else reason


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """An error of the disk within names the path, where it names none: writing does not, opening does."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def _parse(argv: list[str]) -> list[str]:
    """absl's parsing with our exit codes, bad --config files and overrides included."""
    logging.get_absl_logger().disabled = True  # ml_collections tells of a config file what we tell in one line
    try:
        left_over = flags.FLAGS(argv)
        _load_configs()
    except SystemExit:
        sys.exit(0)  # only --help and its kin leave here; absl gives them 1
    except flags.IllegalFlagValueError as error:
        missing = "must have a value other than None" in str(error)
        given = next((arg for arg in argv if re.match(r"--?config=.", arg)), None)
        if missing and given and "--config=None" in str(error):
            _refuse(f"{given}: its get_config() returns nothing", EXIT_BAD_VALUE)
        _refuse(_flag_line(error), EXIT_BAD_FLAG if missing else EXIT_BAD_VALUE)
    except flags.Error as error:  # an unknown flag, or one without its value
        _refuse(error, EXIT_BAD_FLAG)
    except Exception as error:
        _refuse_config(argv, error)
    finally:
        logging.get_absl_logger().disabled = False
    if len(left_over) > 1:
        _refuse(f"unexpected argument {left_over[1]!r}: flags are --name=value", EXIT_BAD_FLAG)
    if flags.FLAGS["verbosity"].using_default_value:
        flags.FLAGS.verbosity = logging.WARNING  # absl's own is INFO: orbax tells every thought
    return left_over


def _load_configs() -> None:
    """Raises what reading a config file raised: ml_collections holds it back until first use."""
    for name in flags.FLAGS:
        getattr(flags.FLAGS[name].value, "keys", None)  # any access to its stand-in raises


def _flag_line(error: flags.IllegalFlagValueError) -> str:
    """The message; where a config file failed, ml_collections puts a whole traceback into it."""
    text = str(error).strip()
    if "Error whilst parsing config file" not in text:
        missing = re.match(r"flag (--\S+)=None: .* must have a value", text)
        return f"flag {missing[1]} is missing" if missing else text
    name = re.match(r"flag --\w+=([^:\s]+)", text)
    lines = re.findall(rf'File "(?:.*/)?{re.escape(name[1])}", line (\d+)', text) if name else []
    place = f"{name[1]}, line {lines[-1]}: " if lines else ""
    return place + text.splitlines()[-1]


def _refuse_config(argv: list[str], error: Exception) -> NoReturn:
    """Ends with a mistake in --config, its overrides or its file; without --config it is ours."""
    given = [arg.lstrip("-") for arg in argv if re.match(r"--?config\b", arg)]
    if not given:
        raise error
    path = next((arg.partition("=")[2] for arg in given if arg.startswith("config=")), "")
    line = _line_in_file(error, path)
    if "get_config" in str(error) and line is None:
        _refuse(f"{path}: not a config file, it has no get_config()", EXIT_BAD_VALUE)
    if isinstance(error, (AttributeError, KeyError)) and line is None:
        wrong = re.search(r"'(\w+)", str(error))  # a guess at what was meant may follow
        _refuse(f"unknown flag: config has no field {wrong[1] if wrong else error}", EXIT_BAD_FLAG)
    if isinstance(error, OSError):
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        _refuse(_os_error_line(cause) if cause.errno else f"--config={path}: no such file",
                EXIT_BAD_VALUE)
    place = f"{path}, line {line}" if line else f"--config={path}"
    _refuse(f"{place}: {type(error).__name__}: {_first_line(error)}", EXIT_BAD_VALUE)


def _line_in_file(error: Exception, path: str) -> int | None:
    """The last line of the file that the error passed through, or None."""
    name = os.path.abspath(path.partition(":")[0])
    if isinstance(error, SyntaxError) and os.path.abspath(error.filename or "") == name:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if os.path.abspath(f.filename) == name), None)


def _refuse(message: object, code: int) -> NoReturn:
    print_error(message)
    sys.exit(code)


def print_error(message: object) -> None:
    """Says on one line of standard error what is wrong."""
    print(f"{name()}: {one_line(message)}", file=sys.stderr, flush=True)


def name() -> str:
    """Of the launch, as its messages begin."""
    return pathlib.Path(sys.argv[0] or "launch").stem


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def prepare_folder(path: str, flag: str = "--output") -> pathlib.Path:
    """Makes the folder that a flag names.

    Raises:
        InputError: the path is a file, or lies below one.
    """
    folder = pathlib.Path(path)
    if any(p.exists() and not p.is_dir() for p in (folder, *folder.parents)):
        raise InputError(f"{flag}={path}: is a file, or lies below one; a folder is needed")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes value as JSON, whole or not at all.

    Arrays, NumPy scalars and named tuples are understood; NaN and infinities become null.
    """
    write_text(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replaces the file at once: a reader, or a crash, never meets half of it."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with naming(path), temporary.open("w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def plain(value: Any) -> Any:
    """value in JSON's own types: arrays and named tuples as lists and objects, NaN and infinities as null."""
    if hasattr(value, "tolist"):  # NumPy and JAX arrays and scalars
        value = value.tolist()
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)


def enable_compilation_cache() -> pathlib.Path | None:
    """Keeps compiled programs between runs; says where. Returns the folder, None if not writable.

    The folder is JAX_COMPILATION_CACHE_DIR, or phasenet-saxsae/jax in the user's cache folder.
    """
    import jax  # here: who mistypes a flag should not wait for it

    user = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    chosen = os.environ.get("JAX_COMPILATION_CACHE_DIR") or user / "phasenet-saxsae" / "jax"
    folder = pathlib.Path(chosen).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        print_line(f"compiled programs are not kept ({_os_error_line(error)})")
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    print_line(f"compiled programs are kept in {folder}")
    return folder
