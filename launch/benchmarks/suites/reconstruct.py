"""Suite "reconstruct": `launch.reconstruct` on one curve, from the command to its last file, against DENSS.

Both programs get only the shipped example's curve, as a user would give it. Ours makes 8 models, once cold (with an
empty cache of compiled programs) and then warm. The command `denss-all` makes 4 maps in FAST mode, aligns
and averages them with its defaults: one core, the largest dimension estimated from the curve. Its plots are off, ours
are on. DENSS sleeps a second before each alignment, which counts in its wall time only, and takes its seed from the
time of day. The summary also gives the correlation of each map with the body that the curve was computed from.
"""

import pathlib
import statistics
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import saxsae
from launch.benchmarks import bars, children
from launch.benchmarks.timing import Row
from launch.reconstruction.reference import Comparison, read_reference
from phasenet.io.ccp4 import read_map

LEAST_RATIO = 1.0  # required ratio of DENSS's wall time over ours, warm
PROFILE = pathlib.Path(saxsae.__file__).parent / "examples" / "three_lobes.dat"
REFERENCE = PROFILE.with_suffix(".pdb")
_ROUNDS = 1  # runs of DENSS, each followed by a warm run of ours
_MAPS = 4  # that DENSS averages
# Runs denss-all as released. DENSS was written for NumPy below 2.4: the script defines the removed name `in1d`, and
# packs arrays of one element as numbers. Child processes are forked, so that they inherit both changes.
_DENSS = """
import multiprocessing, struct, sys, types
import numpy
numpy.in1d = getattr(numpy, "in1d", numpy.isin)
from denss import core
from denss.scripts.denss_all import main
def pack(form, *values):
    few = len(values) < 16
    return struct.pack(form, *(v.item() if few and isinstance(v, numpy.ndarray) else v for v in values))
core.struct = types.SimpleNamespace(pack=pack, unpack=struct.unpack, calcsize=struct.calcsize)
multiprocessing.set_start_method("fork")
sys.argv[0] = "denss-all"
sys.exit(main())
"""


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Measures ours cold, then DENSS and ours warm in turn.

    Args:
      report: receives each row as soon as it is measured.

    Returns:
      Wall and processor seconds of all three, the correlations, and bars.

    Raises:
      RuntimeError: a command failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cold, own, other = ours(folder), [ours(folder)], []
        for number in range(_ROUNDS):
            other.append(denss(folder, f"denss{number}"))
            own.append(ours(folder))
        warm_row = row("whole job, warm", own, other)
        for line in (row("whole job, cold", [cold], other), warm_row):
            report(line)
        comparison = Comparison(read_reference(str(REFERENCE)))
        correlation, peer_correlation = (comparison.correlation(found.density, float(found.pitch_angstrom[0]))
                                         for found in map(read_map, (folder / "ours" / "density.ccp4",
                                                                     folder / "denss0" / "denss0_avg.mrc")))
    return {"cold_seconds": cold.wall_seconds, "warm_seconds": warm_row.seconds, "denss_seconds": warm_row.peer_seconds,
            "cold_cpu_seconds": cold.cpu_seconds, "warm_cpu_seconds": warm_row.cpu_seconds,
            "denss_cpu_seconds": warm_row.peer_cpu_seconds, "cpu_ratio": warm_row.cpu_ratio,
            "correlation": correlation, "denss_correlation": peer_correlation,
            "bars": [bars.at_least("time of DENSS over ours, warm", warm_row.ratio, LEAST_RATIO)]}


def ours(folder: pathlib.Path, *flags: str) -> children.Finished:
    """Runs `launch.reconstruct` into FOLDER/ours, with compiled programs cached in FOLDER/programs."""
    return children.launch("reconstruct", f"--profile={PROFILE}", f"--output={folder / 'ours'}", *flags,
                           JAX_COMPILATION_CACHE_DIR=str(folder / "programs"))


def denss(folder: pathlib.Path, name: str, *flags: str) -> children.Finished:
    """Runs `denss-all`, which writes the average of `_MAPS` aligned maps to FOLDER/NAME/NAME_avg.mrc."""
    return children.run([sys.executable, "-c", _DENSS, "-f", str(PROFILE), "-m", "FAST", "-nm", str(_MAPS),
                         "--plot_off", "-q", "-o", name, *flags], cwd=folder)


def row(name: str, own: list[children.Finished], other: list[children.Finished]) -> Row:
    """Returns the row of the medians; the ratio is that of the medians, because there are few runs."""
    def median(runs: list[children.Finished], field: str) -> float:
        return statistics.median(getattr(finished, field) for finished in runs)

    seconds, peer_seconds = median(own, "wall_seconds"), median(other, "wall_seconds")
    peak = max(finished.peak_bytes for finished in own) / 1e9
    return Row(name, "DENSS", seconds, peer_seconds, peer_seconds / seconds, median(own, "cpu_seconds"),
               median(other, "cpu_seconds"), None, len(other), {"peak_gigabytes": peak})
