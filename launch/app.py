"""Runs a launch: parses its flags, prints messages and errors, sets the exit code and writes result files.

Every launch calls it. Exit codes: 0 done; 1 a bad value or file; 2 an unknown or missing flag; 130 interrupted.
A user's mistake is printed as one line on standard error. Any other exception is a bug and keeps its traceback.
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

from launch.machine.shipped_files import resolve_arguments
from phasenet.errors import InputError, one_line

# On CPU, JAX prints a page of warnings about "+prefer-no-gather", a tuning preference, for each program that it reads
# from the cache (https://github.com/jax-ml/jax/issues/38445); the program is valid. JAX reads the variable when it is
# first imported, so it is set here. JAX itself sets it to 1, which a launch started from a notebook inherits.
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
    """Prints a message for the user and flushes it, so that a pipe shows it at once."""
    print(message, flush=True)


def format_table(rows: list[tuple[str, str, str]], timing: dict[str, float]) -> str:
    """Returns the table that a launch prints at its end.

    Args:
      rows: (name, value, remark) of each line.
      timing: "wall_seconds" and "cpu_seconds", for the last line.
    """
    rows = [*rows, ("wall seconds", f"{timing['wall_seconds']:.0f}", f"CPU {timing['cpu_seconds']:.0f}")]
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"{name:<{width}}  {value:>8}   {more}".rstrip() for name, value, more in rows)


def run(main: Callable[[list[str]], int | None]) -> NoReturn:
    """Parses the flags, calls `main` and ends the process with one of the exit codes of the module's head.

    Args:
      main: receives the program's name in a list; may return an exit code, where None means 0.
    """
    try:
        absl.app.run(lambda argv: _call_main(main, argv), flags_parser=_parse_flags)
    except KeyboardInterrupt:
        _fail("interrupted", EXIT_INTERRUPTED)
    raise AssertionError("absl.app.run does not return")


def _call_main(main: Callable[[list[str]], int | None], argv: list[str]) -> int | None:
    """Returns the exit code of `main`; prints one line for an error that the user can mend."""
    try:
        return main(argv)
    except BrokenPipeError:
        # The reader of our output has closed the pipe (`| head`). Without this, Python would report a second error
        # when it flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        line = describe_error(error)
        if line is None:
            raise
        print_error(line)
    return EXIT_BAD_VALUE


def describe_error(error: BaseException) -> str | None:
    """Returns one line that describes an error of the user, the files or the machine; None for a bug."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return _describe_os_error(error)
    if "No space left on device" in str(error):  # TensorStore wraps the OSError
        place = re.search(r'local file "([^"]+)"', str(error))
        return f"{place[1] if place else _first_line(error)}: no space left on the disk"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return f"out of memory (a smaller batch or count needs less): {_first_line(error)}"
    return None


def _describe_os_error(error: OSError) -> str:
    """Returns "FILE: what is wrong", without FILE where the error names none."""
    other = error.strerror or type(error).__name__
    reason = other if error.errno is None else _OS_ERRORS.get(error.errno, other)
    return f"{error.filename}: {reason}" if error.filename else reason


@contextlib.contextmanager
def adding_path_to_errors(path: str | os.PathLike) -> Iterator[None]:
    """Adds the path to an OSError raised within that names no file: opening a file names it, writing does not."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def _parse_flags(argv: list[str]) -> list[str]:
    """Parses the flags as absl does, but ends with our exit codes, also for a bad --config file or override."""
    argv[:], replaced = resolve_arguments(argv)  # in place: ml_collections reads overrides of a config from sys.argv
    for path in replaced:
        print_line(f"{path} is taken from the installation: there is no such file here")
    logging.get_absl_logger().disabled = True  # ml_collections logs at length what we print in one line
    try:
        left_over = flags.FLAGS(argv)
        _load_configs()
    except SystemExit:
        sys.exit(0)  # only --help and similar flags end here; absl would exit with 1
    except flags.IllegalFlagValueError as error:
        missing = "must have a value other than None" in str(error)
        given = next((arg for arg in argv if re.match(r"--?config=.", arg)), None)
        if missing and given and "--config=None" in str(error):
            _fail(f"{given}: its get_config() returns nothing", EXIT_BAD_VALUE)
        _fail(_describe_flag_error(error), EXIT_BAD_FLAG if missing else EXIT_BAD_VALUE)
    except flags.Error as error:  # an unknown flag, or one without its value
        _fail(error, EXIT_BAD_FLAG)
    except Exception as error:
        _fail_for_config(argv, error)
    finally:
        logging.get_absl_logger().disabled = False
    if len(left_over) > 1:
        _fail(f"unexpected argument {left_over[1]!r}: flags are --name=value", EXIT_BAD_FLAG)
    if flags.FLAGS["verbosity"].using_default_value:
        # absl's default, INFO, shows every step of Orbax. absl's stub has no type for setting a flag.
        flags.FLAGS.verbosity = logging.WARNING  # type: ignore[assignment]
    return left_over


def _load_configs() -> None:
    """Raises the error that reading a config file caused, which ml_collections delays until the first use."""
    for name in flags.FLAGS:
        getattr(flags.FLAGS[name].value, "keys", None)  # any access to the placeholder raises


def _describe_flag_error(error: flags.IllegalFlagValueError) -> str:
    """Returns one line for a bad flag; ml_collections puts a whole traceback of a config file into the message."""
    text = str(error).strip()
    if "Error whilst parsing config file" not in text:
        missing = re.match(r"flag (--\S+)=None: .* must have a value", text)
        return f"flag {missing[1]} is missing" if missing else text
    name = re.match(r"flag --\w+=([^:\s]+)", text)
    lines = re.findall(rf'File "(?:.*/)?{re.escape(name[1])}", line (\d+)', text) if name else []
    place = f"{name[1]}, line {lines[-1]}: " if name and lines else ""
    return place + text.splitlines()[-1]


def _fail_for_config(argv: list[str], error: Exception) -> NoReturn:
    """Ends the process for an error in --config, its overrides or its file; without --config, raises it as a bug."""
    given = [arg.lstrip("-") for arg in argv if re.match(r"--?config\b", arg)]
    if not given:
        raise error
    path = next((arg.partition("=")[2] for arg in given if arg.startswith("config=")), "")
    line = _line_number(error, path)
    if "get_config" in str(error) and line is None:
        _fail(f"{path}: not a config file, it has no get_config()", EXIT_BAD_VALUE)
    if isinstance(error, (AttributeError, KeyError)) and line is None:
        wrong = re.search(r"'(\w+)", str(error))  # a suggestion may follow the name
        _fail(f"unknown flag: config has no field {wrong[1] if wrong else error}", EXIT_BAD_FLAG)
    if isinstance(error, OSError):
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        _fail(_describe_os_error(cause) if cause.errno else f"--config={path}: no such file",
                EXIT_BAD_VALUE)
    place = f"{path}, line {line}" if line else f"--config={path}"
    _fail(f"{place}: {type(error).__name__}: {_first_line(error)}", EXIT_BAD_VALUE)


def _line_number(error: Exception, path: str) -> int | None:
    """Returns the number of the last line of the file in the error's traceback, None where the file is not in it."""
    name = os.path.abspath(path.partition(":")[0])
    if isinstance(error, SyntaxError) and os.path.abspath(error.filename or "") == name:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if os.path.abspath(f.filename) == name), None)


def _fail(message: object, code: int) -> NoReturn:
    """Prints an error and ends the process with the exit code."""
    print_error(message)
    sys.exit(code)


def print_error(message: object) -> None:
    """Prints an error as one line on standard error, after the name of the launch."""
    print(f"{program_name()}: {one_line(message)}", file=sys.stderr, flush=True)


def program_name() -> str:
    """Returns the name of the launch, with which its error messages begin: "solve" for launch/solve.py."""
    return pathlib.Path(sys.argv[0] or "launch").stem


def _first_line(error: BaseException) -> str:
    """Returns the first line of the error's message, its class where it has no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def prepare_folder(path: str, flag: str = "--output") -> pathlib.Path:
    """Makes the folder that a flag names, with its parents, and returns its path.

    Args:
      path: the flag's value.
      flag: the flag's name, for the message.

    Raises:
      InputError: the path is a file, or lies below one.
    """
    folder = pathlib.Path(path)
    if any(p.exists() and not p.is_dir() for p in (folder, *folder.parents)):
        raise InputError(f"{flag}={path}: is a file, or lies below one; a folder is needed")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes a value as JSON, converted by `to_json_types`; the file is complete or unchanged (see `write_text`)."""
    write_text(path, json.dumps(to_json_types(value), indent=2, allow_nan=False) + "\n")


def write_log(path: str | os.PathLike, log: dict[str, Any], second_path: str | None) -> None:
    """Writes log.json; a launch calls it after all other files, so that a folder with a log is complete.

    Args:
      path: log.json in the output folder.
      log: its content.
      second_path: a second file for the same content; None for no second file.
    """
    write_json(path, log)
    if second_path is not None:
        write_json(second_path, log)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file atomically, so that neither a reader nor a crash ever sees an incomplete file.

    Args:
      path: the file; its folder is made where it is missing.
      text: the content, which is encoded as UTF-8.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with adding_path_to_errors(path), temporary.open("w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def to_json_types(value: Any) -> Any:
    """Returns a value in JSON's types.

    Arrays become lists, named tuples become dicts, NaN and infinities become None, and other types their `str`.
    """
    if hasattr(value, "tolist"):  # NumPy and JAX arrays and scalars
        value = value.tolist()
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): to_json_types(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_types(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)


def enable_compilation_cache() -> pathlib.Path | None:
    """Makes JAX keep compiled programs on disk for later runs, and prints the folder.

    The folder is JAX_COMPILATION_CACHE_DIR, or phasenet-saxsae/jax in the user's cache folder.

    Returns:
      The folder; None where it is not writable, which is printed and is no error.
    """
    import jax  # not at the top of the file, because a mistyped flag should fail before the slow import

    user = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    chosen = os.environ.get("JAX_COMPILATION_CACHE_DIR") or user / "phasenet-saxsae" / "jax"
    folder = pathlib.Path(chosen).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        print_line(f"compiled programs are not kept ({_describe_os_error(error)})")
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    print_line(f"compiled programs are kept in {folder}")
    return folder
