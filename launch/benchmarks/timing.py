"""Times two programs for the same task in turn, so that a busy machine slows both equally. All suites use it."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from launch.benchmarks import floor


class Row(NamedTuple):
    """One line of a table: our program against its peer.

    Attributes:
      id: name of what was measured.
      peer: the peer's name; empty without a peer.
      seconds: median wall time of ours, seconds.
      peer_seconds: median wall time of the peer, seconds.
      ratio: median, over the rounds, of the peer's wall time over the mean of our runs before and after it.
      cpu_seconds: median processor time of ours, all threads together, seconds.
      peer_cpu_seconds: median processor time of the peer, likewise.
      flops: operations of the direct method, whatever method is used; None where they are not counted.
      rounds: how often the peer ran.
      details: anything else that belongs to the row, written to JSON.
      floor_seconds: the least time for the operations and bytes of ours, at the processor's rates of that moment; None
        where neither is counted.
    """

    id: str
    peer: str
    seconds: float
    peer_seconds: float
    ratio: float
    cpu_seconds: float
    peer_cpu_seconds: float
    flops: float | None
    rounds: int
    details: dict[str, Any]
    floor_seconds: float | None = None

    @property
    def gflops(self) -> float | None:
        """Effective GFLOP/s of ours; None where `flops` is."""
        return None if self.flops is None else self.flops / self.seconds / 1e9

    @property
    def peer_gflops(self) -> float | None:
        """Effective GFLOP/s of the peer; None where `flops` is."""
        return None if self.flops is None else self.flops / self.peer_seconds / 1e9

    @property
    def cpu_ratio(self) -> float:
        """Median processor time of the peer over that of ours."""
        return self.peer_cpu_seconds / max(self.cpu_seconds, 1e-9)

    @property
    def floor_share(self) -> float | None:
        """The least possible time over the time of ours: 1 is as fast as the processor allows. None without a floor."""
        return None if self.floor_seconds is None else self.floor_seconds / self.seconds


def compare(
    name: str,
    peer: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    *,
    flops: float | None = None,
    moved_bytes: float | None = None,
    seconds: float = 5.0,
    most_rounds: int = 9,
    **details: Any,
) -> Row:
    """Times ours, theirs, ours, theirs, ..., ours, and returns the row. Ours is first run once untimed.

    Args:
      name: what is measured, the row's `id`.
      peer: the peer's name.
      ours: our program, already compiled; JAX arrays in its result are waited for.
      theirs: the peer's program, likewise.
      flops: operations that the direct method needs; where given, the row has a floor.
      moved_bytes: bytes that ours reads and writes at least; where given, the row has a floor.
      seconds: no new round starts after so many seconds; the first round is always done.
      most_rounds: the largest number of rounds.
      **details: further entries of the row's `details`.
    """
    _timed(ours)
    own = [_timed(ours)]
    other: list[tuple[float, float]] = []
    start = time.perf_counter()
    while not other or (time.perf_counter() - start < seconds and len(other) < most_rounds):
        other.append(_timed(theirs))
        own.append(_timed(ours))
    ratios = [2 * b[0] / (before[0] + after[0])
              for before, b, after in zip(own, other, own[1:], strict=False)]
    wall, cpu = (statistics.median(values) for values in zip(*own, strict=True))
    peer_wall, peer_cpu = (statistics.median(values) for values in zip(*other, strict=True))
    rates, floor_seconds = _floor(flops, moved_bytes)
    return Row(name, peer, wall, peer_wall, statistics.median(ratios), cpu, peer_cpu, flops,
               len(other), {**rates, **details}, floor_seconds)


def _floor(flops: float | None, moved_bytes: float | None) -> tuple[dict[str, float], float | None]:
    """Returns the measured rates by name, and the seconds that the work takes at least; None for nothing counted."""
    rates, needed = {}, []
    if flops is not None:
        rates["matmul_gflops"] = floor.matmul_gflops()
        needed.append(flops / rates["matmul_gflops"] / 1e9)
    if moved_bytes is not None:
        rates |= {"moved_bytes": moved_bytes, "copy_gigabytes_per_second": floor.copy_gigabytes_per_second()}
        needed.append(moved_bytes / rates["copy_gigabytes_per_second"] / 1e9)
    return rates, max(needed, default=None)


def _timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Returns the wall and processor seconds of a call, until its JAX arrays are computed."""
    cpu, wall = time.process_time(), time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - wall, time.process_time() - cpu
