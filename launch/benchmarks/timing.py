"""Two ways of doing the same, timed by turns, so that a busy machine slows both alike."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from launch.benchmarks import floor


class Row(NamedTuple):
    """One line of a table: ours against a peer.

    seconds, peer_seconds: medians of the wall time; ratio: median of peer / ours of neighbouring runs.
    cpu_seconds, peer_cpu_seconds: medians of the processor time over all threads.
    flops: of the direct way, whatever was really done; rounds: how often the peer ran.
    details: anything else worth keeping with the row.
    floor_seconds: what the processor needs at least for these operations and bytes, at its rates of that moment.
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
    def gflops(self) -> float:
        """Effective GFLOP/s of ours."""
        return self.flops / self.seconds / 1e9

    @property
    def peer_gflops(self) -> float:
        return self.flops / self.peer_seconds / 1e9

    @property
    def cpu_ratio(self) -> float:
        """Processor time of the peer's median over that of ours."""
        return self.peer_cpu_seconds / max(self.cpu_seconds, 1e-9)

    @property
    def floor_share(self) -> float | None:
        """Share of the floor that ours reaches: 1 is as fast as can be."""
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
    """Times ours, theirs, ours, theirs, ..., ours for about so many seconds, at least once each.

    Both must be compiled before; ours is run once untimed. `flops` and `moved_bytes` are what ours has to compute, and
    to read and write, at least: with either the processor's rate is measured too, and the row has a floor.
    """
    _timed(ours)
    own, other = [_timed(ours)], []
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
    """The rates that were measured, and the seconds that the work takes at them."""
    rates, needed = {}, []
    if flops is not None:
        rates["matmul_gflops"] = floor.matmul_gflops()
        needed.append(flops / rates["matmul_gflops"] / 1e9)
    if moved_bytes is not None:
        rates |= {"moved_bytes": moved_bytes, "copy_gigabytes_per_second": floor.copy_gigabytes_per_second()}
        needed.append(moved_bytes / rates["copy_gigabytes_per_second"] / 1e9)
    return rates, max(needed, default=None)


def _timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor seconds until its arrays are there."""
    cpu, wall = time.process_time(), time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - wall, time.process_time() - cpu
