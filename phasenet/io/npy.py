"""NumPy's array format (.npy, and what an .npz holds), read without trusting it.

NumPy's own reader takes as much memory as a header claims, whatever the file holds, and lets the faults of a broken
header through as they come (tokenize, overflow). Here a header is checked first; pickled objects are refused.
"""

import ast
import math
import re
import struct
from typing import BinaryIO, NamedTuple

import numpy as np

MAGIC = b"\x93NUMPY"
# NumPy's own limit: an honest header has about a hundred characters.
_LONGEST_HEADER = 10_000
# Numbers, truth values and strings.
_TYPE = re.compile(r"[<>|=]?[biufcSU]\d{1,9}")


class Header(NamedTuple):
    """What an array is, as its file says: type, shape, and whether the first index runs fastest."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran_order: bool


def read_header(file: BinaryIO, size: int) -> Header:
    """The header of an array in a stream at its beginning; the stream then stands at the values.

    Args:
      file: a stream.
      size: bytes in it.

    Raises:
      ValueError: not this format, Python objects (which need pickle, which runs code), or a header that claims more
        than these bytes can hold.
    """
    start = file.read(8)
    if len(start) < 8 or not start.startswith(MAGIC):
        raise ValueError("not an array in NumPy's format")
    code = {1: "<H", 2: "<I", 3: "<I"}.get(start[6])
    if code is None:
        raise ValueError(f"NumPy's format in an unknown version, {start[6]}")
    width = struct.calcsize(code)
    length = int.from_bytes(file.read(width), "little")
    text = file.read(min(length, _LONGEST_HEADER))
    if len(text) < length:
        raise ValueError(f"a header of {length} characters; it is cut short or too long")
    header = _parse(text.decode("latin-1"))
    claimed = math.prod(header.shape) * header.dtype.itemsize
    held = size - len(start) - width - length
    if claimed > held or max(header.shape, default=0) > size:
        raise ValueError(f"the header claims an array {header.shape} of {header.dtype}, {claimed} bytes, but it holds "
                         f"{held}")
    return header


def read_values(file: BinaryIO, header: Header) -> np.ndarray:
    """The array, from a stream that stands at its values. Raises ValueError where it is cut short."""
    values = np.empty(math.prod(header.shape), header.dtype)
    left = memoryview(values.view(np.uint8)) if values.nbytes else b""
    while left:
        count = file.readinto(left)
        if not count:
            raise ValueError("it is cut short")
        left = left[count:]
    if header.dtype.kind == "U" and values.nbytes:
        codes = values.view(f"{header.dtype.byteorder}u4")
        if codes.max() > 0x10ffff or ((codes >= 0xd800) & (codes < 0xe000)).any():
            raise ValueError("strings of what are no characters")
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")


def _parse(text: str) -> Header:
    try:
        fields = ast.literal_eval(text.strip())
        descr, fortran_order, shape = (fields[name] for name in ("descr", "fortran_order", "shape"))
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, MemoryError, RecursionError):
        raise ValueError("its header is damaged") from None
    if type(shape) is not tuple or any(type(edge) is not int or edge < 0 for edge in shape) or len(shape) > 32:
        raise ValueError(f"its header tells no shape, but {str(shape)[:60]}")
    if type(fortran_order) is not bool:
        raise ValueError("its header is damaged (fortran_order)")
    if not isinstance(descr, str) or not _TYPE.fullmatch(descr):
        objects = "Python objects, which are never read: they could run code" if "O" in str(descr) else ""
        raise ValueError(objects or f"an array of type {str(descr)[:60]!r}; numbers or strings are needed")
    try:
        return Header(np.dtype(descr), shape, fortran_order)
    except TypeError:
        raise ValueError(f"an array of type {descr!r}, which NumPy does not know") from None
