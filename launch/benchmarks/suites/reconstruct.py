"""Suite "reconstruct": launch.reconstruct on one curve, from the command to its last file, against DENSS.

Both take the shipped example's curve and nothing else, as a user would give it. Ours makes 8 models, cold (no compiled
program is kept yet) and warm; DENSS makes 4 maps in its FAST mode, aligns and averages them, with its own command
`denss-all` and its defaults: one core, the largest dimension estimated from the curve by itself; only its plots are
off, where ours are on. It sleeps for a second before each of its alignments, which its wall time holds and its
processor time does not. Its seeds are the time of day. Beside the times stands the correlation of each map with the
body that the curve was computed from.
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

LEAST_RATIO = 1.0  # DENSS's wall time over ours, warm
PROFILE = pathlib.Path(saxsae.__file__).parent / "examples" / "three_lobes.dat"
REFERENCE = PROFILE.with_suffix(".pdb")
_ROUNDS = 1
_MAPS = 4
# denss-all as released. It was written for NumPy below 2.4: the name that went then is given back, and arrays of one
# number are packed as the number; children must inherit this, so they are forked.
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
    """Wall and processor seconds of all three, and the correlations."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
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
    """The whole job; its programs are kept in the folder."""
    return children.launch("reconstruct", f"--profile={PROFILE}", f"--output={folder / 'ours'}", *flags,
                           JAX_COMPILATION_CACHE_DIR=str(folder / "programs"))


def denss(folder: pathlib.Path, name: str, *flags: str) -> children.Finished:
    """So many maps, aligned and averaged: NAME/NAME_avg.mrc in the folder."""
    return children.run([sys.executable, "-c", _DENSS, "-f", PROFILE, "-m", "FAST", "-nm", str(_MAPS), "--plot_off",
                         "-q", "-o", name, *flags], cwd=folder)


def row(name: str, own: list[children.Finished], other: list[children.Finished]) -> Row:
    """Medians of both; the ratio that of the medians, for a run is too long to have many neighbours."""
    def median(runs, field):
        return statistics.median(getattr(finished, field) for finished in runs)

    seconds, peer_seconds = median(own, "wall_seconds"), median(other, "wall_seconds")
    peak = max(finished.peak_bytes for finished in own) / 1e9
    return Row(name, "DENSS", seconds, peer_seconds, peer_seconds / seconds, median(own, "cpu_seconds"),
               median(other, "cpu_seconds"), None, len(other), {"peak_gigabytes": peak})
