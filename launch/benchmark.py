"""Measures our ways against their named peers, by turns in one process.

    python -m launch.benchmark --suite=conv [--json=FILE]

Read the ratios, the peer's time over ours (CPU: the processor's): on a busy machine the absolute numbers fall, for ours
and for the peer alike. GFLOP/s count the direct way; `floor` is the share of what the processor can do at most, by the
rate of a matrix product, or of copying, measured at the same time. The end says of each bar whether it holds.
"""

import time

from absl import flags

from launch import app
from launch.benchmarks import SUITES, missing, suite
from launch.machine import provenance
from phasenet.errors import InputError

_SUITE = flags.DEFINE_enum("suite", None, [*SUITES, "all"], "What to measure.", required=True)
_JSON = flags.DEFINE_string("json", None, "Write items and summary there.")
_CASES = flags.DEFINE_integer("cases", None, "Cases of each kind in suite phasing; by default a few.", lower_bound=1)
_PLOT = flags.DEFINE_string("plot", None, "Picture of what suite scaling measured.")

_HEADER = (f"{'':50} {'peer':>8} {'ours ms':>9} {'peer ms':>9} {'ratio':>7} {'CPU':>7} "
           f"{'GFLOP/s':>8} {'peer':>6} {'floor':>6}")


def main(_: list[str]) -> None:
    if _PLOT.value and _SUITE.value not in ("scaling", "all"):
        raise InputError(f"--plot={_PLOT.value}: only suite scaling has a picture")
    if _CASES.value and _SUITE.value != "phasing":
        raise InputError(f"--cases={_CASES.value}: only suite phasing has cases")
    app.enable_compilation_cache()
    names = _all() if _SUITE.value == "all" else [_SUITE.value]
    items, summary = [], {}
    for name in names:
        run = suite(name)
        start = time.perf_counter()
        app.print_line(f"\nsuite {name}\n{_HEADER}")

        def report(row, name=name):
            items.append({**row._asdict(), "suite": name} | _rates(row))
            app.print_line(_line(row))

        summary[name] = run(report, **({"cases": _CASES.value} if _CASES.value else {}))
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
        app.write_json(_JSON.value, {"items": items, "summary": summary, **provenance.record()})
        app.print_line(f"written to {_JSON.value}")
    if _PLOT.value:
        from launch.plotting import scaling

        scaling.draw(_PLOT.value, items, summary["scaling"])
        app.print_line(f"drawn to {_PLOT.value}")


def _all() -> list[str]:
    """The suites whose peers are here; the others are named and left out."""
    for name in SUITES:
        if what := missing(name):
            app.print_line(f"suite {name} is left out: {what}")
    return [name for name in SUITES if not missing(name)]


def _rates(row) -> dict[str, float | None]:
    rates = {"gflops": row.gflops, "peer_gflops": row.peer_gflops} if row.flops else {}
    return rates | {"cpu_ratio": row.cpu_ratio, "floor_share": row.floor_share}


def _line(row) -> str:
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
