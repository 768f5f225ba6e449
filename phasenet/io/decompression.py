"""How much a packed file may unpack to. Real ones do to a few times their size; a bomb to a thousand times."""

import gzip
import io

GZIP = b"\x1f\x8b"  # how a .gz file begins
# Whatever the ratio: arrays of zeros (fresh weights, empty maps) pack well, and do no harm while they are small.
FREE_BYTES = 64 * 2**20
# Times its packed size. Coordinates, maps and weights come to 1 to 20, deflate's limit is 1,030.
MOST_TIMES = 50


def check_unpacked(packed: int, unpacked: int) -> None:
    """Raises ValueError where so many bytes may not come out of a file of `packed` bytes."""
    if unpacked > max(FREE_BYTES, MOST_TIMES * packed):
        raise ValueError(f"its {packed / 2**20:.3g} MB unpack to {unpacked / 2**20:.4g} MB or more, which no real file "
                         "does; if this one is, unpack it first")


def gunzip(packed: bytes) -> bytes:
    """What a .gz file holds. Raises ValueError for a bomb; EOFError, OSError, zlib.error for a damaged one."""
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        content = file.read(max(FREE_BYTES, MOST_TIMES * len(packed)) + 1)
    check_unpacked(len(packed), len(content))
    return content
