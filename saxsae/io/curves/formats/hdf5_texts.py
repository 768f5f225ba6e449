"""Checks the texts of variable length in an HDF5 file, which the HDF5 library trusts: damaged ones crash or stop it.

Such a text lies in a global heap (HDF5 File Format Specification 3.0, section III.E). A reference of 16 bytes has its
length, the address of the heap and the number of the object. Called by `nxcansas.read_nxcansas`.
"""

import re

_HEAP = re.compile(rb"GCOL\x01\x00\x00\x00")
_REFERENCE_BYTES = 16


# The sizes in bytes of the objects in each global heap, by address of the heap and number of the object.
TextHeaps = dict[int, dict[int, int]]


def find_heaps(content: bytes) -> TextHeaps | None:
    """Returns the global heaps of a file, or None if one of them is damaged.

    Args:
      content: the whole file.
    """
    heaps: TextHeaps = {}
    for match in _HEAP.finditer(content):
        start = match.start()
        end = start + _unsigned(content, start + 8, 8)
        if end > len(content):
            return None
        objects, place = {}, start + 16
        while place + 16 <= end:
            number, size = _unsigned(content, place, 2), _unsigned(content, place + 8, 8)
            if number == 0 and size < 16:  # the free space; the library would loop for ever
                return None
            if number in objects:
                return None
            objects[number] = size if number else 0
            place += 16 + (size + 7) // 8 * 8 if number else size
        if place > end:
            return None
        heaps[start] = objects
    return heaps


def is_sound_reference(content: bytes, place: int, heaps: TextHeaps) -> bool:
    """Returns whether a reference to a text of variable length has an object that is as long as the reference says.

    Args:
      content: the whole file.
      place: where the reference begins.
      heaps: the heaps of the file.
    """
    length, address, number = (
        _unsigned(content, place, 4), _unsigned(content, place + 4, 8), _unsigned(content, place + 12, 4))
    if length == 0 or address not in heaps:  # empty, or an error that the library reports
        return True
    return 0 < number and length <= heaps[address].get(number, -1)


def has_broken_attribute(content: bytes, names: tuple[str, ...], heaps: TextHeaps) -> bool:
    """Returns whether an attribute of one of these names has a reference to a text that is not sound.

    Args:
      content: the whole file.
      names: names of attributes.
      heaps: the heaps of the file.
    """
    pattern = re.compile(b"(?:" + b"|".join(re.escape(name.encode()) for name in names) + b")\x00")
    for match in pattern.finditer(content):
        start, name_bytes = match.start(), len(match[0])
        for version, head, padded in ((1, 8, True), (2, 8, False), (3, 9, False)):
            if start < head or content[start - head] != version:
                continue
            if _unsigned(content, start - head + 2, 2) != name_bytes:
                continue
            sizes = [name_bytes, _unsigned(content, start - head + 4, 2), _unsigned(content, start - head + 6, 2)]
            place = start + sum((size + 7) // 8 * 8 if padded else size for size in sizes)
            type_start = start + ((name_bytes + 7) // 8 * 8 if padded else name_bytes)
            is_variable = _unsigned(content, type_start, 1) & 15 == 9
            if is_variable and not is_sound_reference(content, place, heaps):
                return True
    return False


def _unsigned(content: bytes, place: int, size: int) -> int:
    """Returns a little-endian number; missing bytes at the end of the file count as zero."""
    return int.from_bytes(content[place:place + size], "little")
