"""Reads one array in NumPy's format (.npy, or a member of an .npz) from a stream that is not trusted.

NumPy's own reader allocates as much memory as the header claims, and raises errors of many types for a damaged header.
Here the header is checked before memory is allocated, and pickled objects are refused. Called by
`phasenet.io.patterson_maps` and `phasenet.io.npz`.
"""

import ast
import io
import math
import re
import struct
from typing import NamedTuple

import numpy as np

MAGIC = b"\x93NUMPY"  # first bytes of the format
# NumPy's own limit; an intact header has about a hundred characters.
_MAX_HEADER_CHARACTERS = 10_000
# Booleans, numbers and strings.
_ALLOWED_TYPE = re.compile(r"[<>|=]?[biufcSU]\d{1,9}")


class ArrayHeader(NamedTuple):
    """The header of an array in NumPy's format.

    Attributes:
      dtype: type of the values.
      shape: shape of the array.
      fortran_order: whether the first index runs fastest in the file; otherwise the last.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran_order: bool


def read_header(file: io.BufferedIOBase, size: int) -> ArrayHeader:
    """Returns the header of the array at the beginning of a stream, and leaves the stream at the values.

    Args:
      file: the stream.
      size: number of bytes in the stream, header included.

    Raises:
      ValueError: the stream is not in NumPy's format, holds Python objects (which only pickle reads, and pickle can run
        code), or has a header that claims more values than `size` bytes can hold.
    """
    start = file.read(8)
    if len(start) < 8 or not start.startswith(MAGIC):
        raise ValueError("not an array in NumPy's format")
    code = {1: "<H", 2: "<I", 3: "<I"}.get(start[6])
    if code is None:
        raise ValueError(f"version {start[6]} of NumPy's format; expected 1, 2 or 3")
    width = struct.calcsize(code)
    length = int.from_bytes(file.read(width), "little")
    text = file.read(min(length, _MAX_HEADER_CHARACTERS))
    if len(text) < length:
        raise ValueError(f"the header of {length} characters is cut short or too long (limit {_MAX_HEADER_CHARACTERS})")
    header = _parse_header(text.decode("latin-1"))
    claimed = math.prod(header.shape) * header.dtype.itemsize
    held = size - len(start) - width - length
    if claimed > held or max(header.shape, default=0) > size:
        raise ValueError(f"the header claims an array of shape {header.shape} and type {header.dtype}, {claimed} "
                         f"bytes, but {held} bytes follow; the file is cut short or damaged")
    return header


def read_values(file: io.BufferedIOBase, header: ArrayHeader) -> np.ndarray:
    """Returns the array whose header was just read by `read_header`.

    Args:
      file: the stream, at the first value.
      header: the array's header.

    Returns:
      The array, with the shape and type of the header.

    Raises:
      ValueError: the stream ends before the last value, or a string holds codes that are not characters.
    """
    values = np.empty(math.prod(header.shape), header.dtype)
    remaining = values.view(np.uint8).data if values.nbytes else memoryview(b"")
    while remaining:
        count = file.readinto(remaining)
        if not count:
            raise ValueError("the array is cut short")
        remaining = remaining[count:]
    if header.dtype.kind == "U" and values.nbytes:
        codes = values.view(f"{header.dtype.byteorder}u4")
        if codes.max() > 0x10ffff or ((codes >= 0xd800) & (codes < 0xe000)).any():
            raise ValueError("a string holds codes that are no characters; the file is damaged")
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")


def _parse_header(text: str) -> ArrayHeader:
    """Returns the header that a dictionary literal in the file describes; raises ValueError for any fault."""
    try:
        fields = ast.literal_eval(text.strip())
        descr, fortran_order, shape = (fields[name] for name in ("descr", "fortran_order", "shape"))
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, MemoryError, RecursionError):
        raise ValueError("the header is damaged") from None
    if type(shape) is not tuple or any(type(edge) is not int or edge < 0 for edge in shape) or len(shape) > 32:
        raise ValueError(f"the header is damaged: {str(shape)[:60]} is not a shape")
    if type(fortran_order) is not bool:
        raise ValueError(f"the header is damaged: fortran_order is {str(fortran_order)[:60]}, not True or False")
    if not isinstance(descr, str) or not _ALLOWED_TYPE.fullmatch(descr):
        if "O" in str(descr):
            raise ValueError("Python objects, which are never read, because they could run code; save an array of "
                             "numbers")
        raise ValueError(f"an array of type {str(descr)[:60]!r}; expected numbers or strings")
    try:
        return ArrayHeader(np.dtype(descr), shape, fortran_order)
    except TypeError:
        raise ValueError(f"an array of type {descr!r}, which NumPy does not know") from None
