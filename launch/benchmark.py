"""Measures our ways against their named peers, by turns in one process.

    python -m launch.benchmark --suite=conv [--json=FILE]

Read the ratios: on a busy machine the absolute numbers fall, for ours and for the peer alike.
"""

from absl import flags

from launch import app
from launch.benchmarks import SUITES, missing, suite

_SUITE = flags.DEFINE_enum("suite", None, [*SUITES, "all"], "What to measure.", required=True)
_JSON = flags.DEFINE_string("json", None, "Write items and summary there.")

_HEADER = (f"{'':44} {'peer':>7} {'ours ms':>9} {'peer ms':>9} {'ratio':>6} "
           f"{'GFLOP/s':>8} {'peer':>6} {'/core s':>8} {'matmul':>7}")


def main(_: list[str]) -> None:
    app.enable_compilation_cache()
    names = _all() if _SUITE.value == "all" else [_SUITE.value]
    items, summary = [], {}
    for name in names:
        run = suite(name)
        app.say(f"suite {name}\n{_HEADER}")

        def report(row, name=name):
            items.append({**row._asdict(), "suite": name} | _rates(row))
            app.say(_line(row))

        summary[name] = run(report)
    for name, values in summary.items():
        app.say(f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in values.items()))
    if _JSON.value:
        app.write_json(_JSON.value, {"items": items, "summary": summary})
        app.say(f"written to {_JSON.value}")


def _all() -> list[str]:
    """The suites whose peers are here; the others are named and left out."""
    for name in SUITES:
        if what := missing(name):
            app.say(f"suite {name} is left out: {what}")
    return [name for name in SUITES if not missing(name)]


def _rates(row) -> dict[str, float]:
    return {"gflops": row.gflops, "peer_gflops": row.peer_gflops} if row.flops else {}


def _line(row) -> str:
    times = (f"{row.id:44} {row.peer:>7} {1e3 * row.seconds:9.1f} {1e3 * row.peer_seconds:9.1f} "
             f"{row.ratio:6.1f}")
    if not row.flops:
        return times
    matmul = row.details.get("matmul_gflops")
    return (f"{times} {row.gflops:8.1f} {row.peer_gflops:6.1f} "
            f"{row.flops / row.cpu_seconds / 1e9:8.1f}" + (f" {matmul:7.0f}" if matmul else ""))


if __name__ == "__main__":
    app.run(main)
