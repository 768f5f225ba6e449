"""Measures the released weights and the ways built on them against references.

    python -m launch.evaluate --task=autoencoder --references=FILE.npz --json=FILE
    python -m launch.evaluate --task=reconstruction --pairs=DIR [--given_radius] --json=FILE
    python -m launch.evaluate --task=simulated --references=FILE.npz [--given_radius] --json=FILE
    python -m launch.evaluate --task=phasing [--num_cases=500] [--seed=1] [--weights=dual_space] --json=FILE

An interrupted run of shapes with --json goes on where it was: the same command. Several processes share the curves
(flags: launch/distributed/cluster.py); their items meet beside the result, in a folder that all of them see.
"""

import pathlib

from absl import flags

from launch import app
from launch.distributed import cluster
from launch.machine import provenance
from phasenet.errors import InputError

_PROBLEM = ("num_atoms", "inner_box", "grid", "min_distance", "h_max", "noise", "corner", "corner_rule")
_USES = {
    "autoencoder": {"references", "limit"},
    "reconstruction": {"pairs", "limit", "given_radius", "maps_dir", "num_models", "seed"},
    "simulated": {"references", "limit", "given_radius", "maps_dir", "num_models", "seed", "published"},
    "phasing": {"num_cases", "seed", "stages", "picker", "num_chains", "num_swaps", "temperature", *_PROBLEM},
}
_SHARED = ("reconstruction", "simulated")
_TASK = flags.DEFINE_enum("task", None, list(_USES), "What to measure.", required=True)
_REFERENCES = flags.DEFINE_string("references", None, "Archive (.npz) of reference structures.")
_PAIRS = flags.DEFINE_string(
    "pairs", None, "Folder of folders, each with a curve profile.* and its model reference.*.")
_GIVEN_RADIUS = flags.DEFINE_bool("given_radius", False, "Tell the solver the reference's radius.")
_LIMIT = flags.DEFINE_integer("limit", None, "Only the first so many.", lower_bound=1)
_MAPS_DIR = flags.DEFINE_string("maps_dir", None, "Folder for the reconstructed maps, ID.ccp4.")
_PUBLISHED = flags.DEFINE_bool(
    "published", False, "Measure the maps of a published_maps.npz beside the references too.")
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "Released weights by name, or their folder; by default lean, for phasing dual_space.")
_NUM_MODELS = flags.DEFINE_integer("num_models", None, "Independent models a curve.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the reconstructions, or of the random atoms.", lower_bound=0,
                              upper_bound=2**31 - 1)
_NUM_CASES = flags.DEFINE_integer("num_cases", 500, "Sets of random atoms.", lower_bound=1)
_NUM_ATOMS = flags.DEFINE_integer("num_atoms", None, "Of a case; this and the next seven are as the weights' own.")
_INNER_BOX = flags.DEFINE_float("inner_box", None, "Edge of the box of the atoms' centres, voxels.")
_GRID = flags.DEFINE_integer("grid", None, "Voxels an edge of the maps.")
_MIN_DISTANCE = flags.DEFINE_float("min_distance", None, "Between two atoms, voxels.")
_H_MAX = flags.DEFINE_float("h_max", None, "Largest |h| of the reflections, in 1/grid a voxel.")
_NOISE = flags.DEFINE_float("noise", None, "Of squared amplitudes, relative.")
_CORNER = flags.DEFINE_float("corner", None, "Edge of a reserved corner of the box, voxels.")
_CORNER_RULE = flags.DEFINE_enum("corner_rule", None, ["any", "empty", "filled"], "What is done with it.")
_STAGES = flags.DEFINE_list(
    "stages", ["network", "anneal"], "network,anneal, with or without refine; refine: without a network; anneal: from "
    "the exact atoms and their inverses.")
_PICKER = flags.DEFINE_enum("picker", "fit", ["fit", "peaks"], "How atoms are read from the network's map.")
_NUM_CHAINS = flags.DEFINE_integer("num_chains", 4, "Annealings a case, of which the best counts.", lower_bound=1)
_NUM_SWAPS = flags.DEFINE_integer("num_swaps", 1000, "Proposals of an annealing.", lower_bound=1)
_TEMPERATURE = flags.DEFINE_float(
    "temperature", 0.01, "First one, in units of the first error E; 0: only improvements.", lower_bound=0.0)
_JSON = flags.DEFINE_string("json", None, "Write items and summary there.")


def _require(flag: str, tasks: tuple[str, ...]) -> None:
    flags.register_validator(
        flag, lambda value: value is not None or flags.FLAGS["task"].value not in tasks,
        f"Flag --{flag} must have a value other than None.")


_require("references", ("autoencoder", "simulated"))
_require("pairs", ("reconstruction",))


flags.register_validator("json", lambda value: value is not None or not cluster.wanted(),
                         "Flag --json must have a value other than None.")  # where several processes meet


def main(_: list[str]) -> None:
    _refuse_foreign_flags()
    with cluster.joining():
        _measure()


def _measure() -> None:
    app.enable_compilation_cache()
    from launch.machine.cpu_devices import split_cpu  # here: a mistyped flag should not wait for jax
    from saxsae import pretrained

    if _TASK.value == "phasing":
        split_cpu(8)
        _phasing()
        return
    if _TASK.value != "autoencoder":
        split_cpu(_NUM_MODELS.value or 8)  # results are the same on any number of devices
    name = _WEIGHTS.value or pretrained.DEFAULT
    weights = pretrained.load(name)
    evaluate = _autoencoder if _TASK.value == "autoencoder" else _shapes
    evaluate(weights, {
        "task": _TASK.value, "weights": name,
        "weights_sha256": provenance.weights_digest(pretrained.find_weights(name)), "versions": provenance.versions(),
        **{name: flags.FLAGS[name].value for name in sorted(_USES[_TASK.value] - {"maps_dir", "limit"})}})


def _refuse_foreign_flags() -> None:
    known = set().union(*_USES.values())
    for name in sorted(known - _USES[_TASK.value]):
        if flags.FLAGS[name].present:
            raise InputError(f"--{name} has no meaning for --task={_TASK.value}")
    if cluster.wanted() and _TASK.value not in _SHARED:
        raise InputError(f"--task={_TASK.value} is for one process; several share the curves of "
                         f"--task={' and '.join(_SHARED)}")


def _autoencoder(weights, settings: dict) -> None:
    from launch.evaluation import autoencoder, report, resumable
    from saxsae.io.structures.corpus import read_references

    structures = read_references(_REFERENCES.value)[:_LIMIT.value]
    app.print_line(f"{len(structures)} structures through the {weights.info['kind']} network")
    items, summary = autoencoder.evaluate(structures, weights)
    summary["weights"] = settings["weights"]
    app.print_line(report.encoded(items, summary))
    resumable.finish({**settings, **provenance.record(), "items": items, "summary": summary}, _JSON.value)


def _shapes(weights, settings: dict) -> None:
    from launch.distributed import processes
    from launch.evaluation import cases, reconstruction, report, resumable

    if _TASK.value == "reconstruction":
        chosen = cases.measured_pairs(_PAIRS.value)
    else:
        chosen = cases.simulated(_REFERENCES.value, _GIVEN_RADIUS.value, _PUBLISHED.value)
        app.print_line("curves are computed from the models, with noise; those published were measured")
    if _MAPS_DIR.value is not None:
        pathlib.Path(_MAPS_DIR.value).mkdir(parents=True, exist_ok=True)
    options = {"seed": _SEED.value}
    if _NUM_MODELS.value is not None:
        options["num_models"] = _NUM_MODELS.value

    def evaluate(case):
        return reconstruction.evaluate_case(case, weights, given_radius=_GIVEN_RADIUS.value,
                                            maps_dir=_MAPS_DIR.value, **options)

    items = resumable.run_items(
        chosen[:_LIMIT.value], evaluate, report.shape, _JSON.value, settings)
    if not processes.is_chief():
        return
    summary = reconstruction.summarize(items)
    app.print_line(report.shapes(items, summary))
    resumable.finish({**settings, **provenance.record(), "items": items, "summary": summary}, _JSON.value)


def _phasing() -> None:
    from launch.evaluation import phasing, report
    from phasenet import pretrained
    from phasenet.search import annealing, network_stage

    name = _WEIGHTS.value or pretrained.DEFAULT
    weights = pretrained.load(name)
    problem = weights.problem
    given = {field: flags.FLAGS[field].value for field in _PROBLEM if flags.FLAGS[field].value is not None}
    of_atoms = {field: given.pop(field) for field in tuple(given) if field in problem.atoms._fields}
    problem = problem._replace(atoms=problem.atoms._replace(**of_atoms), **given)
    phasing.check(problem, _STAGES.value, weights)
    cooled = min(_TEMPERATURE.value, 1e-5)
    settings = network_stage.NetworkSettings(
        picker=_PICKER.value, num_chains=_NUM_CHAINS.value,
        schedule=annealing.Schedule(_NUM_SWAPS.value, _TEMPERATURE.value, cooled))
    app.print_line(f"{_NUM_CASES.value} cases of {problem.atoms.num_atoms} atoms in a box of {problem.atoms.inner_box:g} "
            f"voxels, maps of {problem.grid}")
    items = phasing.evaluate(problem, settings, weights, _STAGES.value, _NUM_CASES.value, _SEED.value,
                             report.Phased(_NUM_CASES.value))
    summary = phasing.summarize(items)
    app.print_line(report.phasing(summary))
    result = {"task": "phasing", "weights": name,
              "weights_sha256": provenance.weights_digest(pretrained.find_weights(name)), **provenance.record(),
              "stages": _STAGES.value, "seed": _SEED.value, "problem": problem._asdict(),
              "settings": settings._asdict(), "items": items, "summary": summary}
    if _JSON.value is not None:
        app.write_json(_JSON.value, result)
        app.print_line(f"written to {_JSON.value}")


if __name__ == "__main__":
    app.run(main)
