"""Checks that JAX computes right numbers on this machine.

    python -m launch.selftest [--json=FILE]

It prints versions, devices and one line for each check: paste all of it into a bug report. A check compares a result
with a closed form, with NumPy, or with the known answer of a shipped example. Some releases of jax compute wrong
numbers without an error (https://github.com/jax-ml/jax/issues/39103): do not trust results of a machine that fails.
The exit code is 1 where a check fails. The first run takes half a minute, in which programs are compiled.
"""

from absl import flags

from launch import app
from phasenet.errors import InputError

_JSON = flags.DEFINE_string("json", None, "File for the report as JSON.")


def main(_: list[str]) -> None:
    """Describes the machine, runs all checks and prints the report.

    Raises:
      InputError: a check failed; its name is in the message.
    """
    from launch.machine.cpu_devices import split_cpu  # not at the top, because a mistyped flag should fail first

    split_cpu(2)
    cache = app.enable_compilation_cache()
    from launch.selftests import check, compiler, machine, science

    described = machine.describe(cache)
    app.print_line("\n".join([*machine.format_description(described), ""]))
    results = []
    for one in (*compiler.CHECKS, *science.CHECKS):
        results.append(check.run_check(one))
        app.print_line(check.format_result(results[-1]))
    failed = [result.name for result in results if not result.passed]
    if _JSON.value is not None:
        app.write_json(_JSON.value, {"machine": described, "checks": results, "failed": failed})
    if failed:
        raise InputError(f"{len(failed)} of {len(results)} checks failed on this machine: {', '.join(failed)}")
    app.print_line(f"\nall {len(results)} checks passed")


if __name__ == "__main__":
    app.run(main)
