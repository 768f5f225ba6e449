"""Measures the speed of our code against other programs, the peers; our code and the peer run in turn.

    python -m launch.benchmark --suite=conv [--json=FILE]
    python -m launch.benchmark --suite=crystals [--crystals=DIR] [--resolutions=0.84,1.0] [--json=FILE]

It prints a row for each measurement, then whether each required bound holds, and writes rows and summary to FILE.
Read the ratios (the peer's time over ours): a busy machine slows both programs equally. GFLOP/s count the operations of
the direct method, whatever method is used. The column floor is the least possible time, at the processor's measured
rates of a matrix product and of copying, over our time: 100% is as fast as the processor allows.
"""

import time
from typing import Any

from absl import flags

from launch import app
from launch.benchmarks import SUITES, describe_missing_peer, load_suite, timing
from launch.evaluation import resumable
from launch.machine import provenance
from phasenet.errors import InputError

_SUITE = flags.DEFINE_enum(
    "suite", None, [*SUITES, "all"], "Suite of measurements that is run, or all.", required=True)
_JSON = flags.DEFINE_string("json", None, "File for the measured rows and the summary.")
_CASES = flags.DEFINE_integer(
    "cases", None, "Number of cases of each kind in suite phasing. By default a few.", lower_bound=1)
_CRYSTALS = flags.DEFINE_string(
    "crystals", None, "Folder of folders, each with merged.csv, atoms.csv and source.json, for suite crystals. By "
    "default two crystals are made.")
_RESOLUTIONS = flags.DEFINE_list(
    "resolutions", None, "Resolutions in Angstrom to which suite crystals cuts the data. By default 0.84,1.0,1.2,1.5.")
_PEER_SECONDS = flags.DEFINE_float(
    "peer_seconds", None, "Processor time, in seconds, that the peer of suite crystals may take for a crystal. By "
    "default 20.", lower_bound=0.1)
_PLOT = flags.DEFINE_string("plot", None, "File for a picture of what suite scaling measured.")
# Flags that only one suite has.
_SUITE_OF_FLAG = {"cases": "phasing", "crystals": "crystals", "resolutions": "crystals", "peer_seconds": "crystals"}
_RESUMABLE = ("crystals", "crystal_scaling")
_RESOLUTION_BOUNDS_ANGSTROM = (0.3, 5.0)

_HEADER = (f"{'':50} {'peer':>8} {'ours ms':>9} {'peer ms':>9} {'ratio':>7} {'CPU':>7} "
           f"{'GFLOP/s':>8} {'peer':>6} {'floor':>6}")


def main(_: list[str]) -> None:
    """Runs the suites, prints rows, summaries and bounds, and writes the files of --json and --plot.

    Raises:
      InputError: a flag does not fit the suite, or its peer is not installed.
    """
    if _PLOT.value and _SUITE.value not in ("scaling", "all"):
        raise InputError(f"--plot={_PLOT.value}: only suite scaling draws a picture")
    options = _read_options()
    app.enable_compilation_cache()
    names = _list_runnable_suites() if _SUITE.value == "all" else [_SUITE.value]
    items: list[dict[str, Any]] = []
    summary: dict[str, dict[str, Any]] = {}
    for name in names:
        run = load_suite(name)
        start = time.perf_counter()
        app.print_line(f"\nsuite {name}\n{_HEADER}")

        def report(row: timing.Row, name: str = name) -> None:
            items.append({**row._asdict(), "suite": name} | _rates(row))
            app.print_line(_format_row(row))

        summary[name] = run(report, **(options if name == _SUITE.value else {}))
        app.print_line(f"{time.perf_counter() - start:.0f} s")
    app.print_line()
    for name, values in summary.items():
        numbers = (f"{key} {value:.3g}" for key, value in values.items() if key != "bars")
        app.print_line(f"{name}: " + ", ".join(numbers))
    app.print_line()
    for name, values in summary.items():
        for bar in values.get("bars", ()):
            app.print_line(f"{name}: {bar}")
        values["bars"] = [bar.as_json() for bar in values.get("bars", ())]
    if _JSON.value:
        app.write_json(_JSON.value, {"task": "benchmark", "items": items, "summary": summary,
                                     **provenance.describe_run()})
        resumable.remove_kept_items(_JSON.value)
        app.print_line(f"written to {_JSON.value}")
    if _PLOT.value:
        from launch.plotting import scaling

        scaling.draw(_PLOT.value, items, summary["scaling"])
        app.print_line(f"drawn to {_PLOT.value}")


def _read_options() -> dict[str, Any]:
    """Returns the keyword arguments of the suite's `run` that flags give; InputError for a flag of another suite."""
    for name, suite in _SUITE_OF_FLAG.items():
        if flags.FLAGS[name].value is not None and _SUITE.value != suite:
            raise InputError(f"--{name} has no meaning for --suite={_SUITE.value}, only for suite {suite}")
    given = {name: flags.FLAGS[name].value for name in _SUITE_OF_FLAG if flags.FLAGS[name].value is not None}
    if _RESOLUTIONS.value is not None:
        resolutions = tuple(map(_read_resolution, _RESOLUTIONS.value))
        if not resolutions or len(set(resolutions)) < len(resolutions):
            raise InputError(f"--resolutions={','.join(_RESOLUTIONS.value)}: give different numbers, at least one")
        given["resolutions"] = resolutions
    if _SUITE.value in _RESUMABLE and _JSON.value:
        given["json_path"] = _JSON.value
    return given


def _read_resolution(text: str) -> float:
    """Returns a resolution, Angstrom; raises InputError for any other text."""
    low, high = _RESOLUTION_BOUNDS_ANGSTROM
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not low <= value <= high:
        raise InputError(f"--resolutions: {text!r} is no resolution from {low:g} to {high:g} Angstrom")
    return value


def _list_runnable_suites() -> list[str]:
    """Returns the suites whose peers are installed; prints the other suites and why they are left out."""
    for name in SUITES:
        if what := describe_missing_peer(name):
            app.print_line(f"suite {name} is left out: {what}")
    return [name for name in SUITES if not describe_missing_peer(name)]


def _rates(row: timing.Row) -> dict[str, float | None]:
    """Returns the rates that JSON gets beside the fields of a row."""
    rates = {"gflops": row.gflops, "peer_gflops": row.peer_gflops} if row.flops else {}
    return rates | {"cpu_ratio": row.cpu_ratio, "floor_share": row.floor_share}


def _format_row(row: timing.Row) -> str:
    """Returns the printed line of a row, in the columns of `_HEADER`; a row without a peer shows the peak memory."""
    peak = row.details.get("peak_gigabytes")
    if not row.peer:
        return f"{row.id:50} {'':>8} {1e3 * row.seconds:9.4g} {'peak':>9} {peak:7.2f} GB"
    line = (f"{row.id:50} {row.peer:>8} {1e3 * row.seconds:9.4g} {1e3 * row.peer_seconds:9.4g} "
            f"{row.ratio:7.3g} {row.cpu_ratio:7.3g}")
    gflops = f" {row.gflops:8.1f} {row.peer_gflops:6.1f}" if row.flops else f" {'':8} {'':6}"
    share = "" if row.floor_share is None else f"{row.floor_share:.0%}"
    return f"{line}{gflops} {share:>6}".rstrip()


if __name__ == "__main__":
    app.run(main)
