"""Runs `launch.solve --reflections`: reads the files, solves the crystal, writes the results and prints a table."""

import time
from typing import Any

from launch import app
from launch.crystals import files, page, report, weights
from launch.crystals.evidence import collect_evidence
from launch.machine import provenance
from phasenet import crystal_pipeline
from phasenet.io.reflections.crystal_files import read_crystal


def run(path: str, output: str, given: dict[str, Any], *, unknown_group: bool, num_starts: int, seed: int,
        weights_name: str | None, json_path: str | None) -> None:
    """Solves one crystal.

    Args:
      path: the reflections, or a SHELX or CIF file that leads to them.
      output: folder for the results.
      given: what `read_crystal` is told besides the files.
      unknown_group: whether the space group of the files is left aside.
      num_starts: largest number of starts in each group.
      seed: of the random phases.
      weights_name: see `weights.load`.
      json_path: a second file for the log; None for none.

    Raises:
      InputError: a file cannot be used.
    """
    start, cpu_start = time.perf_counter(), time.process_time()
    network, description = weights.load(weights_name)
    crystal = read_crystal(path, **given)
    for line in report.describe_crystal(crystal):
        app.print_line(line)
    folder = app.prepare_folder(output)
    app.enable_compilation_cache()
    app.print_line("the first crystal with a grid of its size compiles programs for up to half a minute")
    result = crystal_pipeline.solve_file(crystal, unknown_group=unknown_group, num_starts=num_starts, seed=seed,
                                         weights=network, progress=app.print_line)
    for note in report.list_notes(crystal, result):
        app.print_line(f"  {note}")
    evidence = collect_evidence(crystal, result)
    timing = {"wall_seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
    structure = report.make_structure(crystal, result)
    files.write_structure(folder, structure)
    candidates = files.write_candidates(folder, report.make_candidates(structure, result))
    files.write_maps(folder, structure, evidence.maps)
    log = report.log(crystal, result, evidence, structure) | {"weights": description, "timing": timing}
    log |= provenance.describe_run()
    page.write(folder, crystal, result, evidence, structure, log)
    app.write_log(folder / files.LOG, log, json_path)
    table = app.format_table(report.rows(crystal, result, evidence), timing)
    names = "  ".join((*files.NAMES, *candidates, files.LOG))
    app.print_line(f"\n{table}\n\nwritten to {folder}:\n  {names}\n\n{report.verdict(result)}")
