"""Limits how much a compressed file may unpack to, so that a small malicious file cannot fill the memory.

Called by the readers of gzipped files and of NumPy archives, in both packages.
"""

import gzip
import io

GZIP_MAGIC = b"\x1f\x8b"  # first bytes of a .gz file
# Allowed at any ratio: small arrays of zeros (fresh weights, empty maps) compress well and are harmless.
ALWAYS_ALLOWED_BYTES = 64 * 2**20
# Largest ratio of unpacked to packed size. Coordinates, maps and weights reach 1 to 20; deflate's limit is 1,030.
MAX_EXPANSION = 50


def check_unpacked_size(packed: int, unpacked: int) -> None:
    """Checks that a compressed file does not unpack to more than 64 MB or 50 times its size, whichever is larger.

    Args:
      packed: size of the compressed file, bytes.
      unpacked: size of its content, bytes.

    Raises:
      ValueError: the content is larger.
    """
    if unpacked > max(ALWAYS_ALLOWED_BYTES, MAX_EXPANSION * packed):
        raise ValueError(f"its {packed / 2**20:.3g} MB unpack to {unpacked / 2**20:.4g} MB or more, over "
                         f"{MAX_EXPANSION} times as much; if the file can be trusted, unpack it first")


def gunzip(packed: bytes) -> bytes:
    """Returns the content of a .gz file.

    Args:
      packed: the file's bytes.

    Raises:
      ValueError: the content is larger than `check_unpacked_size` allows.
      EOFError, OSError, zlib.error: the file is damaged.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        content = file.read(max(ALWAYS_ALLOWED_BYTES, MAX_EXPANSION * len(packed)) + 1)
    check_unpacked_size(len(packed), len(content))
    return content
