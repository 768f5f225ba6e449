"""Checks that JAX on this machine gives right numbers, and says what to paste into a bug report.

    python -m launch.selftest [--json=FILE]

Each check compares what is found with a closed form, with NumPy, or with what is known of a shipped example. There are
releases of jax that compute wrong numbers without a word (https://github.com/jax-ml/jax/issues/39103): believe no
result of a machine that fails. Exit code 1 where a check fails; the report is whole all the same. Half a minute the
first time, while programs are compiled.
"""

from absl import flags

from launch import app
from phasenet.errors import InputError

_JSON = flags.DEFINE_string("json", None, "Write the report there as JSON, too.")


def main(_: list[str]) -> None:
    from launch.machine.cpu_devices import split_cpu  # here: a mistyped flag should not wait for jax

    split_cpu(2)
    cache = app.enable_compilation_cache()
    from launch.selftests import check, compiler, machine, science

    described = machine.describe(cache)
    app.print_line("\n".join([*machine.lines(described), ""]))
    results = []
    for one in (*compiler.CHECKS, *science.CHECKS):
        results.append(check.run(one))
        app.print_line(check.line(results[-1]))
    failed = [result.name for result in results if not result.passed]
    if _JSON.value is not None:
        app.write_json(_JSON.value, {"machine": described, "checks": results, "failed": failed})
    if failed:
        raise InputError(f"{len(failed)} of {len(results)} checks failed on this machine: {', '.join(failed)}")
    app.print_line(f"\nall {len(results)} checks passed")


if __name__ == "__main__":
    app.run(main)
