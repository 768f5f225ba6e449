"""Names the kind of a binary file by its first bytes, so that the refusal can say what to do.

Called by `measured_curves.read_curve`.
"""

_IMAGE = "{} image, not a curve: integrate it over the angles first"
_MAGIC = (
    (b"II*\x00", _IMAGE.format("a TIFF")), (b"MM\x00*", _IMAGE.format("a TIFF")), (b"II+\x00", _IMAGE.format("a TIFF")),
    (b"\x89PNG", "a PNG image, not a curve: give the numbers as text"),
    (b"\xff\xd8\xff", "a JPEG image, not a curve: give the numbers as text"),
    (b"GIF8", "a GIF image, not a curve: give the numbers as text"),
    (b"BM", "a bitmap image, not a curve: give the numbers as text"),
    (b"###CBF", _IMAGE.format("a CBF")),
    (b"SIMPLE  =", _IMAGE.format("a FITS")),
    (b"FORMAT :", _IMAGE.format("a Bruker")),
    (b"%PDF", "a PDF document, not a curve: give the numbers as text"),
    (b"PK\x03\x04", "an Excel workbook or another ZIP archive: save the sheet, or unpack the file, as text (CSV)"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook: save the sheet as text (CSV)"),
    (b"CPYA", "an Origin project: export the columns as text"),
    (b"CPYUA", "an Origin project: export the columns as text"),
    (b"\x1f\x8b", "compressed (gzip): unpack it first"), (b"BZh", "compressed (bzip2): unpack it first"),
    (b"\xfd7zXZ", "compressed (xz): unpack it first"), (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
)
_HDF5 = b"\x89HDF\r\n\x1a\n"
_EDF_WORDS = (b"EDF_", b"HeaderID", b"ByteOrder", b"DataType", b"Dim_1")


def is_hdf5(content: bytes) -> bool:
    """Returns whether a file is HDF5, possibly behind a user block.

    Args:
      content: the whole file.
    """
    return any(content[start:start + len(_HDF5)] == _HDF5 for start in (0, 512, 1024, 2048, 4096))


def name_binary(content: bytes) -> str | None:
    """Returns what a file is, and what to do, if its first bytes show an image, a workbook or an archive; else None.

    Args:
      content: the whole file, or its first 4096 bytes.
    """
    head = content[:4096]
    kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if kind is not None and kind.startswith("a bitmap") and b"\x00" not in head[:64]:
        return None  # a text that begins with BM
    if kind is None and head.lstrip()[:1] == b"{" and sum(word in head for word in _EDF_WORDS) >= 2:
        return _IMAGE.format("an EDF")
    return kind
