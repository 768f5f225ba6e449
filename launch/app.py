"""The one way in for every launch: flags, one-line errors, exit codes, messages, result files.

Exit codes: 0 done; 1 a bad value or file; 2 an unknown or missing flag; 130 interrupted. A user's mistake is
one line on standard error; anything else is a fault of ours and keeps its traceback.
"""

import errno
import json
import os
import pathlib
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

import absl.app
from absl import flags, logging

from phasenet.errors import InputError

EXIT_BAD_VALUE = 1
EXIT_BAD_FLAG = 2
EXIT_INTERRUPTED = 130


def say(message: str = "") -> None:
    """Prints a message to people, at once (a pipe would hold it back)."""
    print(message, flush=True)


def run(main: Callable[[list[str]], int | None]) -> None:
    """Parses the flags, calls main(argv) and leaves with the exit code described above; never returns."""
    try:
        absl.app.run(lambda argv: _guarded(main, argv), flags_parser=_parse)
    except KeyboardInterrupt:
        _complain("interrupted")
        sys.exit(EXIT_INTERRUPTED)


def _guarded(main: Callable[[list[str]], int | None], argv: list[str]) -> int | None:
    """main's exit code; what the user can mend becomes one line."""
    if flags.FLAGS["verbosity"].using_default_value:
        logging.set_verbosity(logging.WARNING)  # absl's own default is INFO: orbax tells every thought
    try:
        return main(argv)
    except InputError as error:
        _complain(error)
    except BrokenPipeError:
        # The reader of our output has left (`| head`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno is None:
            raise
        _complain(_os_error_line(error))
    except Exception as error:
        if "RESOURCE_EXHAUSTED" not in str(error) and not isinstance(error, MemoryError):
            raise
        _complain(f"out of memory (a smaller batch needs less): {_first_line(error)}")
    return EXIT_BAD_VALUE


def _os_error_line(error: OSError) -> str:
    hints = {
        errno.ENOENT: "no such file or folder",
        errno.EACCES: "permission denied",
        errno.ENOSPC: "no space left on the disk",
        errno.EISDIR: "is a folder, a file was expected",
        errno.ENOTDIR: "is a file, a folder was expected",
    }
    reason = hints.get(error.errno, error.strerror or type(error).__name__)
    return f"{error.filename}: {reason}" if error.filename else reason


def _parse(argv: list[str]) -> list[str]:
    """absl's parsing with our exit codes; also understands what ml_collections raises on a bad --config."""
    try:
        left_over = flags.FLAGS(argv)
    except SystemExit:
        sys.exit(0)  # only --help and its kin leave here; absl gives them 1
    except (flags.UnrecognizedFlagError, flags.ValidationError) as error:
        _refuse(error, EXIT_BAD_FLAG)
    except flags.IllegalFlagValueError as error:
        missing = "must have a value other than None" in str(error)
        _refuse(error, EXIT_BAD_FLAG if missing else EXIT_BAD_VALUE)
    except flags.Error as error:  # a flag without its value
        _refuse(error, EXIT_BAD_FLAG)
    except InputError as error:
        _refuse(error, EXIT_BAD_VALUE)
    except Exception as error:
        _refuse_config(argv, error)
    if len(left_over) > 1:
        _refuse(f"unexpected argument {left_over[1]!r} (flags look like --name=value)", EXIT_BAD_FLAG)
    return left_over


def _refuse_config(argv: list[str], error: Exception) -> None:
    """A mistake in --config or its overrides, or in the config file itself; without --config the fault is ours."""
    path = next((a.split("=", 1)[1] for a in argv if a.lstrip("-").startswith("config=")), None)
    if path is None and not any(a.lstrip("-").startswith("config") for a in argv):
        raise error
    if isinstance(error, (AttributeError, KeyError)) and not _raised_in(error, path):
        text = error.args[0] if error.args else error
        _refuse(f"--config has no such field: {text}", EXIT_BAD_FLAG)
    if isinstance(error, OSError):
        _refuse(f"--config={path}: {_os_error_line(error)}", EXIT_BAD_VALUE)
    line = _raised_in(error, path)
    place = f"{path}, line {line}" if line else f"--config={path}"
    _refuse(f"{place}: {type(error).__name__}: {_first_line(error)}", EXIT_BAD_VALUE)


def _raised_in(error: Exception, path: str | None) -> int | None:
    """Last line of the config file that the error passed through, or None."""
    if path is None:
        return None
    name = os.path.abspath(path.split(":", 1)[0])
    if isinstance(error, SyntaxError) and error.filename and os.path.abspath(error.filename) == name:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if os.path.abspath(frame.filename) == name]
    return lines[-1] if lines else None


def _refuse(message: object, code: int) -> None:
    _complain(message)
    sys.exit(code)


def _complain(message: object) -> None:
    name = pathlib.Path(sys.argv[0] or "launch").stem
    print(f"{name}: {' '.join(str(message).split())}", file=sys.stderr, flush=True)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes value as JSON, whole or not at all; arrays and NumPy scalars are understood, NaN becomes null."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replaces the file at once: a reader, or a crash, never meets half of it."""
    path = pathlib.Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes it private
        os.replace(temporary, path)
    except BaseException:
        pathlib.Path(temporary).unlink(missing_ok=True)
        raise


def _plain(value: Any) -> Any:
    """value in JSON's own types."""
    if hasattr(value, "tolist"):  # NumPy and JAX arrays and scalars
        value = value.tolist()
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return str(value)


def enable_compilation_cache() -> pathlib.Path | None:
    """Keeps compiled programs between runs; says where, once. None if the folder cannot be written."""
    import jax  # here: a launch that only complains should not wait for it

    default = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "phasenet-saxsae" / "jax"
    folder = pathlib.Path(os.environ.get("JAX_COMPILATION_CACHE_DIR") or default).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        say(f"compiled programs are not kept: {_os_error_line(error)}")
        return None
    if jax.config.jax_compilation_cache_dir != str(folder):
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    say(f"compiled programs are kept in {folder}")
    return folder
