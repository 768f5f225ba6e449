"""Small results for the tests of report.html, made without any launch, and what such a page holds."""

import functools
import json
import pathlib
import re

import numpy as np
from made_crystals import MadeCrystal, make_crystal

from launch import app
from launch.crystals import page as crystal_page
from launch.crystals import report as crystal_report
from launch.crystals.evidence import Evidence, collect_evidence
from launch.machine import provenance
from launch.reconstruction import page as reconstruction_page
from launch.reconstruction import report as reconstruction_report
from launch.reconstruction.reference import PlacedMap, Reference
from launch.solution import page as solution_page
from launch.solution import report as solution_report
from phasenet.crystal import connectivity
from phasenet.crystal.measured.judgement import judge_data
from phasenet.crystal.measured.report import DataReport
from phasenet.crystal.solve import ENGINE, CandidateModel, CrystalSolution
from phasenet.crystal_pipeline import CrystalResult, TriedGroup
from phasenet.io.crystal_structures import CrystalStructure
from phasenet.io.reflections.crystal_files import CrystalFile
from phasenet.maps import density, patterson, reflections, synthesis
from phasenet.maps.atoms import AtomRules
from phasenet.pipeline import Solution
from phasenet.preparation import PreparedMap
from phasenet.search import peaks
from phasenet.search.network_stage import NetworkSettings, SelectedAtoms
from saxsae import genetic
from saxsae.analysis.curve_report import compute_curve_numbers
from saxsae.io.curves.measured_curves import Curve
from saxsae.io.structures.structure_files import Structure
from saxsae.profiles.guinier import fit_guinier
from saxsae.reconstruction import Reconstruction
from saxsae.superposition import ensemble
from saxsae.verdict import Verdict

# What a page must show and must not run.
NAME = "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">.dat"
_PITCH = 3.0


def payload_of(text: str) -> dict:
    """The data of a page."""
    found = re.search(r'<script type="application/json" id="payload">(.*?)</script>', text, re.DOTALL)
    return json.loads(found[1])


def reconstruction(folder: pathlib.Path, mirrored: bool = False) -> tuple[Reconstruction, PlacedMap]:
    """Writes report.html and log.json of two bent rods upon a reference; returns what they are of."""
    found, curve = _found(), measured_curve()
    # A reference that the map fits exactly where the superposition takes it.
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    shift, centroid = np.array([4.0, -2.0, 1.0]), np.array([30.0, 5.0, -12.0])
    own = (np.argwhere(found.density > 0.5)[::8] - 15) * _PITCH
    xyz = (own * [1, 1, -1 if mirrored else 1]) @ turn.T + shift + centroid
    structure = Structure(xyz.astype(np.float32), np.full(len(xyz), 6, np.uint8), "beads", "rods")
    reference = Reference(structure, centroid, 60.0, _PITCH)
    placed = PlacedMap(0.9, mirrored, found.density, np.zeros(3), turn, shift)
    history = np.array([0, 2]), np.array([0.7, 0.8125])
    numbers = reconstruction_report.summary(found, placed, float(history[1][-1]) if history else None)
    log = reconstruction_report.log(curve, found, numbers, history, 0.45) | _made()
    reconstruction_page.write(folder, curve, found, log, 0.45, reference, placed, compute_curve_numbers(curve))
    app.write_json(folder / "log.json", log)
    return found, placed


def solution(folder: pathlib.Path, status: str = "solved") -> Solution:
    """Writes report.html and log.json of four atoms."""
    problem = synthesis.Problem(atoms=AtomRules(num_atoms=4, inner_box=6.0), grid=16)
    atoms = np.array([[-2.0, -1.5, 1.0], [2.5, 0.5, 1.0], [0.0, 2.0, -2.0], [-0.5, -1.0, 0.0]], np.float32)
    measured = np.asarray(patterson.patterson(density.density(atoms, 16)))
    agreement = reflections.Agreement(0.998, 0.03125)
    candidates = peaks.Candidates(atoms, np.full(4, 0.5), np.ones(4, bool))
    network = SelectedAtoms(atoms, np.ones(4, bool), candidates, agreement, np.ones((1, 1)))
    prepared = PreparedMap(measured, problem, True, 4.0, ("origin peak at voxel (0, 0, 0)",))
    answer = Solution(atoms, None, agreement, None, network, None, prepared)
    numbers = solution_report.summary(answer) | {"status": status}
    log = solution_report.log(f"maps/{NAME}", "patterson", answer, prepared.notes, NetworkSettings(), numbers,
                              0.5) | _made()
    log["deviations_voxels"] = np.full((4, 3), 0.0123)
    fitted = np.asarray(patterson.patterson(density.density(atoms * np.float32(0.95), 16)))
    solution_page.write(folder, answer, log, fitted)
    app.write_json(folder / "log.json", log)
    return answer


def crystal(folder: pathlib.Path, status: str = "solved") -> tuple[CrystalResult, Evidence, CrystalStructure]:
    """Writes report.html and log.json of a made crystal of twelve atoms; returns what they are of."""
    made, data, positions = _crystal_data()
    n = len(made.elements)
    # Chlorine's B is too low, so that the difference map has a hole and a ring there.
    b_iso = np.where(np.array(made.elements) == "Cl", 0.6, 1) * made.b_iso
    r1 = {"solved": 0.05, "ambiguous": 0.25, "not solved": 0.6}[status]
    read = CrystalFile(
        *made.reflections, None, made.cell, None, None, "", None, "xray", made.composition, 4, "", 4, None, "", (),
        "HKLF 4", f"crystals/{NAME}", ("xray is assumed",))
    candidates = tuple(CandidateModel(positions + shift, made.elements, b_iso, np.ones(n), r1 + shift)
                       for shift in (0.0, 0.01, 0.02)) if status != "solved" else ()
    solution = CrystalSolution(
        positions, np.full((n, 3), 0.004), np.zeros(n, int), made.elements, b_iso, np.ones(n), r1, 3 * r1,
        status, 0.9, 0, 1, 20.0, 1.0, 2.5**0.5, 2.5, 0.97, ENGINE, (r1,), (ENGINE,), (0.9,), candidates, True,
        ("a note",))
    group = TriedGroup(made.operators, solution, False)
    result = CrystalResult(data, made.composition, group, (group,), status, None, ("another note",))
    evidence, structure = collect_evidence(read, result), crystal_report.make_structure(read, result)
    log = crystal_report.log(read, result, evidence, structure) | _made()
    crystal_page.write(folder, read, result, evidence, structure, log)
    app.write_json(folder / "log.json", log)
    return result, evidence, structure


@functools.cache
def _crystal_data() -> tuple[MadeCrystal, DataReport, np.ndarray]:
    made = make_crystal("P 1 21/c 1")
    placed = connectivity.assemble(made.positions, made.elements, made.cell, made.operators)
    return made, judge_data(made.reflections, made.cell, None, made.composition), placed.positions


def _made() -> dict:
    flags = {"profile": NAME, "seed": 3, "background": False, "radius": None}
    return {"flags": flags, "weights": {"name": "tiny", "sha256": "ab" * 32, "step": 7, "config": {"long": [0] * 99}},
            "timing": {"wall_seconds": 123.456, "cpu_seconds": 65.4321}, **provenance.describe_code()}


def measured_curve() -> Curve:
    q = np.linspace(0.01, 0.3, 120)
    noise = np.random.default_rng(0).normal(size=len(q))
    intensity = 80 * np.exp(-((22 * q) ** 2) / 3) + 0.5
    sigma = 0.02 * intensity + 0.02
    return Curve(q, intensity + sigma * noise, sigma, "1/A", (), f"curves/{NAME}", False, 3)


def _found() -> Reconstruction:
    curve, last = measured_curve(), 80
    x, y, z = (np.indices((31,) * 3) - 15.0)
    bodies = [(x / 9) ** 2 + ((y - bend * x**2 / 30) / 4) ** 2 + ((z - 0.2 * x) / 3) ** 2 < 1 for bend in (1.0, 0.5)]
    models = np.stack(bodies).astype(np.float32)
    q, intensity, sigma = (values[:last] for values in (curve.q_inv_angstrom, curve.intensity, curve.sigma))
    series = np.array([[9.0, 2.5, 1.25], [12.0, 4.0, np.nan]])
    return Reconstruction(
        density=models.mean(0), pitch_angstrom=_PITCH, radius_angstrom=40.5, models=models,
        model_radii=np.array([40.5, 38.0]), model_chi_squared=np.array([1.25, 4.0]), rsc=np.array([1.0, 0.8125]),
        ensemble=ensemble.describe(models, _PITCH, 0.5), rg_angstrom=22.5, bank_misfit=np.nan, negative_density=np.nan,
        sources=(),
        q_inv_angstrom=q, intensity=intensity, sigma=sigma, fit=80 * np.exp(-((22 * q) ** 2) / 3) + 0.5, scale=2.0,
        background=0.0, chi_squared=1.25, relative_residual=0.015625,
        guinier=fit_guinier(curve.q_inv_angstrom, curve.intensity, curve.sigma), order=20,
        history=genetic.GenerationRecord(series, 2 * series, 3 * series, series), generations=np.array([2, 1]),
        notes=("q in 1/A, as the file says",),
        verdict=Verdict("doubtful", ("Rg of the best model is 1.20 times Guinier's",), ("remark",), {"rg_ratio": 1.2}))
