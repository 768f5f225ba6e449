"""Measures networks, reconstruction, phasing, verdicts and the numbers of curves against known answers.

    python -m launch.evaluate --task=autoencoder --references=FILE.npz --json=FILE
    python -m launch.evaluate --task=reconstruction --pairs=DIR [--given_radius] [--from_models] --json=FILE
    python -m launch.evaluate --task=simulated --references=FILE.npz [--given_radius] --json=FILE
    python -m launch.evaluate --task=phasing [--num_cases=500] [--seed=1] [--weights=dual_space] --json=FILE
    python -m launch.evaluate --task=verdicts [--pairs=DIR] [--references=FILE.npz] --json=FILE
    python -m launch.evaluate --task=confidence --structures=STRUCTURES --corpus=FILE.npz --json=FILE
    python -m launch.evaluate --task=units --json=FILE
    python -m launch.evaluate --task=curves --pairs=DIR --json=FILE
    python -m launch.evaluate --task=crystals --crystals=DIR [--d_min=1.0] [--num_starts=16] --json=FILE

It prints a table and writes FILE: settings, items (one for each structure, curve or case) and a summary. The tasks:

    autoencoder      encodes and decodes structures
    reconstruction   runs `saxsae.reconstruct` on measured curves
    simulated        runs `saxsae.reconstruct` on curves computed from structures
    phasing          runs the stages of `phasenet.solve` on random atoms
    verdicts         judges good and unfit curves, synthetic ones and those given, before any search
    confidence       counts how often the stated intervals hold on held-out structures
    units            decides the unit of q of synthetic curves
    curves           compares size and mass from measured curves with those of the known models
    crystals         solves measured crystals

In the tasks reconstruction, simulated, confidence and crystals the same command resumes an interrupted evaluation, and
several processes can share the items (flags: launch/distributed/cluster.py) if all of them see the folder of FILE.
"""

import collections
import pathlib
from typing import TYPE_CHECKING, Any

from absl import flags

from launch import app
from launch.distributed import cluster
from launch.machine import provenance
from phasenet.errors import InputError

if TYPE_CHECKING:  # a mistyped flag should fail before these slow imports
    from launch.evaluation.cases import Case
    from saxsae.pretrained import Pretrained

_PROBLEM_FLAGS = ("num_atoms", "inner_box", "grid", "min_distance", "h_max", "noise", "corner", "corner_rule")
_FLAGS_OF_TASK = {
    "autoencoder": {"references", "limit"},
    "reconstruction": {"pairs", "limit", "given_radius", "from_models", "maps_dir", "num_models", "seed", "stages"},
    "simulated": {"references", "limit", "given_radius", "maps_dir", "num_models", "seed", "published", "stages"},
    "verdicts": {"pairs", "references", "limit", "seed"},
    "confidence": {"structures", "corpus", "limit"},
    "units": {"seed"},
    "curves": {"pairs", "limit"},
    "crystals": {"crystals", "d_min", "num_starts", "limit", "seed", "unknown_group", "composition",
                 "permuted"},
    "phasing": {"num_cases", "seed", "stages", "picker", "num_chains", "num_swaps", "temperature", *_PROBLEM_FLAGS},
}
# Tasks whose items several processes can share.
_SHARED_TASKS = ("reconstruction", "simulated", "confidence", "crystals")
_TASK = flags.DEFINE_enum("task", None, list(_FLAGS_OF_TASK), "What is evaluated.", required=True)
_REFERENCES = flags.DEFINE_string("references", None, "Archive (.npz) with the reference structures.")
_PAIRS = flags.DEFINE_string(
    "pairs", None, "Folder of folders, each with a measured curve profile.* and its known model reference.*.")
_STRUCTURES = flags.DEFINE_string("structures", None, "The value of --input of launch.prepare_structures.")
_CORPUS = flags.DEFINE_string(
    "corpus", None, "Packed set that launch.prepare_structures wrote; its validation split is evaluated.")
_CRYSTALS = flags.DEFINE_string(
    "crystals", None, "Folder of folders, each with merged.csv, atoms.csv and source.json; or made crystals (.npz).")
_D_MIN = flags.DEFINE_float("d_min", None, "Resolution to which the data of crystals are cut, in Angstrom.",
                            lower_bound=0.3, upper_bound=5.0)
_NUM_STARTS = flags.DEFINE_integer("num_starts", 16, "Largest number of starts for a crystal.", lower_bound=1)
_UNKNOWN_GROUP = flags.DEFINE_bool("unknown_group", False, "Do not give the solver of crystals the space group.")
_COMPOSITION = flags.DEFINE_enum(
    "composition", "formula", ["formula", "elements", "none"], "What the solver of crystals is told of the contents of "
    "the cell: the formula, the elements without their numbers, or nothing.")
_PERMUTED = flags.DEFINE_bool(
    "permuted", False, "Exchange the intensities of a crystal at random among reflections of like resolution; nothing "
    "may then be called solved.")
_GIVEN_RADIUS = flags.DEFINE_bool("given_radius", False, "Give the reconstruction the radius of the reference.")
_FROM_MODELS = flags.DEFINE_bool(
    "from_models", False, "Replace the measured curves by ones that are computed from the models of the pairs, with "
    "bound water, noise and errors. This measures the method alone, without the difference between sample and model. "
    "A model without elements (beads, or a trace of alpha carbons) counts as failed.")
_LIMIT = flags.DEFINE_integer(
    "limit", None, "Number of structures or curves that are evaluated, from the first. By default all.",
    lower_bound=1)
_MAPS_DIR = flags.DEFINE_string("maps_dir", None, "Folder to which the reconstructed maps are written as ID.ccp4.")
_PUBLISHED = flags.DEFINE_bool(
    "published", False, "Also score the published maps in published_maps.npz beside the archive of references.")
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "Weights: the name of released ones, their folder, or the workdir of a training. By default "
    "dual_space for phasing, crystals for crystals (which also takes none), and lean for the other tasks.")
_NUM_MODELS = flags.DEFINE_integer(
    "num_models", None, "Number of models for each curve. By default that of launch.reconstruct.",
    lower_bound=1)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the random numbers of the reconstructions, or of the random atoms.", lower_bound=0,
    upper_bound=2**31 - 1)
_NUM_CASES = flags.DEFINE_integer("num_cases", 500, "Number of sets of random atoms.", lower_bound=1)
_NUM_ATOMS = flags.DEFINE_integer("num_atoms", None, "Number of atoms of a case. By default that of the weights.")
_INNER_BOX = flags.DEFINE_float(
    "inner_box", None, "Edge of the box that holds the centres of the atoms, in voxels. By default that of the "
    "weights.")
_GRID = flags.DEFINE_integer("grid", None, "Voxels per edge of the maps. By default those of the weights.")
_MIN_DISTANCE = flags.DEFINE_float(
    "min_distance", None, "Smallest distance between two atoms, in voxels. By default that of the weights.")
_H_MAX = flags.DEFINE_float(
    "h_max", None, "Largest |h| of the reflections, in cycles per map edge. By default that of the weights.")
_NOISE = flags.DEFINE_float(
    "noise", None, "Standard deviation of a squared amplitude, relative to its value. By default that of the "
    "weights.")
_CORNER = flags.DEFINE_float(
    "corner", None, "Edge of the cube that is reserved in a corner of the box, in voxels. By default that of the "
    "weights.")
_CORNER_RULE = flags.DEFINE_enum(
    "corner_rule", None, ["any", "empty", "filled"], "Whether the reserved cube may hold atoms (any), holds none "
    "(empty) or at least one (filled). By default that of the weights.")
_STAGES = flags.DEFINE_list(
    "stages", None, "Stages that are run. For phasing: network,anneal (the default) is the paper's pipeline; "
    "network,anneal,refine is that of launch.solve; refine alone searches without a network; anneal alone starts from "
    "the exact atoms and their inverses. For curves: those of launch.reconstruct.")
_PICKER = flags.DEFINE_enum(
    "picker", "fit", ["fit", "peaks"], "How candidate positions are taken from the network's map: fit fits atoms to "
    "the map, peaks takes its peaks as the paper does.")
_NUM_CHAINS = flags.DEFINE_integer(
    "num_chains", 4, "Number of annealing chains for each case; the best one counts.", lower_bound=1)
_NUM_SWAPS = flags.DEFINE_integer("num_swaps", 1000, "Number of proposals of an annealing chain.", lower_bound=1)
_TEMPERATURE = flags.DEFINE_float(
    "temperature", 0.01, "First temperature of the annealer, as a fraction of the error at the start of a chain. "
    "With 0 the annealer accepts only improvements.", lower_bound=0.0)
_JSON = flags.DEFINE_string("json", None, "File for the settings, the items and the summary.")


def _require(flag: str, tasks: tuple[str, ...]) -> None:
    """Makes a flag required for some tasks."""
    flags.register_validator(
        flag, lambda value: value is not None or flags.FLAGS["task"].value not in tasks,
        f"Flag --{flag} must have a value other than None.")


_require("references", ("autoencoder", "simulated"))
_require("pairs", ("reconstruction", "curves"))
_require("crystals", ("crystals",))
_require("structures", ("confidence",))
_require("corpus", ("confidence",))
# Several processes merge their items in the file of --json.
flags.register_validator("json", lambda value: value is not None or not cluster.is_requested(),
                         "Flag --json must have a value other than None.")


def main(_: list[str]) -> None:
    """Runs the evaluation that --task names, alone or as one of several processes.

    Raises:
      InputError: a flag has no meaning for the task, a file cannot be used, or no item worked.
    """
    _check_flags()
    with cluster.joining():
        _run_task()


def _run_task() -> None:
    """Loads the weights, where the task needs any, and runs the task."""
    if _TASK.value == "verdicts":
        _evaluate_verdicts()
        return
    if _TASK.value == "units":
        _evaluate_units()
        return
    if _TASK.value == "curves":
        _evaluate_curves()
        return
    app.enable_compilation_cache()
    if _TASK.value == "crystals":
        _evaluate_crystals()
        return
    from launch.machine.cpu_devices import split_cpu  # not at the top, because a mistyped flag should fail first
    from saxsae import pretrained

    if _TASK.value == "phasing":
        split_cpu(8)
        _evaluate_phasing()
        return
    name = _WEIGHTS.value or pretrained.DEFAULT
    if _TASK.value in ("reconstruction", "simulated"):
        from saxsae.reconstruction import EVOLVED_MODELS, choose_stages

        if "evolve" in choose_stages(_STAGES.value, pretrained.has_bank(pretrained.find_weights(name))):
            split_cpu(_NUM_MODELS.value or EVOLVED_MODELS)  # the result does not depend on the number of devices
    weights = pretrained.load(name)
    evaluate = {"autoencoder": _evaluate_autoencoder, "confidence": _evaluate_confidence}.get(
        _TASK.value, _evaluate_shapes)
    evaluate(weights, {
        "task": _TASK.value, "weights": name,
        "weights_sha256": provenance.weights_digest(pretrained.find_weights(name)), "versions": provenance.versions(),
        **{name: flags.FLAGS[name].value for name in sorted(_FLAGS_OF_TASK[_TASK.value] - {"maps_dir", "limit"})}})


def _check_flags() -> None:
    """Raises InputError for a given flag that the task does not use, or for more processes than the task can use."""
    known = set().union(*_FLAGS_OF_TASK.values())
    for name in sorted(known - _FLAGS_OF_TASK[_TASK.value]):
        if flags.FLAGS[name].present:
            raise InputError(f"--{name} has no meaning for --task={_TASK.value}")
    if cluster.is_requested() and _TASK.value not in _SHARED_TASKS:
        raise InputError(f"--task={_TASK.value} runs in one process; several can share the items of "
                         f"--task={', '.join(_SHARED_TASKS)}")


def _evaluate_autoencoder(weights: "Pretrained", settings: dict[str, Any]) -> None:
    """Evaluates the auto-encoder on the reference structures."""
    from launch.evaluation import autoencoder, report, resumable
    from saxsae.io.structures.corpus import read_archive

    assert _REFERENCES.value is not None  # the flag is required for this task
    structures = read_archive(_REFERENCES.value)[:_LIMIT.value]
    app.print_line(f"{len(structures)} structures through the {weights.info['kind']} network")
    items, summary = autoencoder.evaluate(structures, weights)
    summary["weights"] = settings["weights"]
    app.print_line(report.format_autoencoder(items, summary))
    resumable.write_result({**settings, **provenance.describe_run(), "items": items, "summary": summary}, _JSON.value)


def _evaluate_shapes(weights: "Pretrained", settings: dict[str, Any]) -> None:
    """Evaluates the reconstruction from measured or from computed curves; the process takes its share of them."""
    from launch.distributed import processes
    from launch.evaluation import cases, reconstruction, report, resumable

    if _TASK.value == "reconstruction":
        assert _PAIRS.value is not None  # required for this task, like the next
        chosen = cases.list_measured_pairs(_PAIRS.value)
        if _FROM_MODELS.value:
            chosen = cases.replace_measured_curves(chosen)
            app.print_line("the curves are computed from the models of the pairs, with bound water, noise and errors")
    else:
        assert _REFERENCES.value is not None
        chosen = cases.list_simulated_cases(_REFERENCES.value, _GIVEN_RADIUS.value, _PUBLISHED.value)
        app.print_line("the curves are computed from the models, with noise and without bound water; the published "
                       "results are from measured curves")
    if _MAPS_DIR.value is not None:
        pathlib.Path(_MAPS_DIR.value).mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"seed": _SEED.value, "num_models": _NUM_MODELS.value, "stages": _STAGES.value}
    if _TASK.value == "simulated":
        options |= {"contrasts": (0.0,), "equal_atoms": True}

    def evaluate(case: "Case") -> dict[str, Any]:
        return reconstruction.evaluate_case(case, weights, given_radius=_GIVEN_RADIUS.value,
                                            maps_dir=_MAPS_DIR.value, **options)

    items = resumable.run_items(
        chosen[:_LIMIT.value], evaluate, report.format_reconstruction, _JSON.value, settings)
    if not processes.is_chief():
        return
    summary = reconstruction.summarize(items)
    app.print_line(report.format_reconstructions(items, summary))
    resumable.write_result({**settings, **provenance.describe_run(), "items": items, "summary": summary}, _JSON.value)


def _evaluate_confidence(weights: "Pretrained", settings: dict[str, Any]) -> None:
    """Reconstructs shapes of held-out structures and compares the stated confidence with the truth."""
    from launch.datasets import held_out
    from launch.distributed import processes
    from launch.evaluation import confidence, resumable

    assert _STRUCTURES.value is not None and _CORPUS.value is not None  # required for this task
    if weights.bank is None or weights.density_head is None:
        raise InputError(f"{settings['weights']}: these weights have no bank of structures, so no confidence")
    cases = held_out.list_held_out(_STRUCTURES.value, _CORPUS.value)[:_LIMIT.value]
    items = resumable.run_items(cases, lambda case: confidence.evaluate_structure(case, weights),
                                confidence.format_item, _JSON.value, settings)
    if not processes.is_chief():
        return
    summary = confidence.summarize(items)
    reliable = confidence.measure_reliability(items)
    by_ambiguity = confidence.group_by_ambiguity(items)
    app.print_line(confidence.format_summary(summary, reliable, by_ambiguity))
    resumable.write_result({**settings, **provenance.describe_run(), "items": items, "summary": summary,
                            "occupancies": reliable, "by_ambiguity": by_ambiguity}, _JSON.value)


def _stages() -> list[str]:
    """Returns the stages of phasing."""
    return _STAGES.value or ["network", "anneal"]


def _evaluate_verdicts() -> None:
    """Judges made curves, and the measured and computed ones that are given."""
    from launch.evaluation import cases, resumable
    from launch.evaluation.curve_tasks import verdicts

    items = list(verdicts.judge_made_curves(_SEED.value))
    if _PAIRS.value is not None:
        items += verdicts.judge_cases(cases.list_measured_pairs(_PAIRS.value)[:_LIMIT.value], "measured")
    if _REFERENCES.value is not None:
        computed = cases.list_simulated_cases(_REFERENCES.value, False, False)[:_LIMIT.value]
        items += verdicts.judge_cases(computed, "computed from structures")
    summary = verdicts.summarize(items)
    app.print_line(verdicts.format_verdicts(items, summary))
    resumable.write_result({"task": "verdicts", "seed": _SEED.value, **provenance.describe_run(), "items": items,
                            "summary": summary}, _JSON.value)


def _evaluate_units() -> None:
    """Decides the unit of q of made curves whose files state none."""
    from launch.evaluation import resumable
    from launch.evaluation.curve_tasks import unit_scan

    items = unit_scan.scan(_SEED.value)
    app.print_line(unit_scan.format_scan(items))
    summary = dict(collections.Counter(item["outcome"] for item in items))
    resumable.write_result({"task": "units", "seed": _SEED.value, **provenance.describe_run(), "items": items,
                            "summary": summary}, _JSON.value)


def _evaluate_curves() -> None:
    """Compares the numbers of measured curves with those of their models."""
    from launch.evaluation import cases, resumable
    from launch.evaluation.curve_tasks import curve_numbers

    assert _PAIRS.value is not None  # required for this task
    items = curve_numbers.evaluate_cases(cases.list_measured_pairs(_PAIRS.value)[:_LIMIT.value])
    summary = curve_numbers.summarize(items)
    app.print_line(curve_numbers.format_curves(items, summary))
    resumable.write_result({"task": "curves", **provenance.describe_run(), "items": items, "summary": summary},
                           _JSON.value)


def _evaluate_crystals() -> None:
    """Solves measured crystals; the process takes its share of them."""
    from launch.crystals import weights
    from launch.distributed import processes
    from launch.evaluation import crystals, resumable

    assert _CRYSTALS.value is not None  # required for this task
    network, description = weights.load(_WEIGHTS.value)
    settings = {"task": "crystals", "weights": description, "d_min": _D_MIN.value, "num_starts": _NUM_STARTS.value,
                "seed": _SEED.value, "unknown_group": _UNKNOWN_GROUP.value, "composition": _COMPOSITION.value,
                "permuted": _PERMUTED.value, "versions": provenance.versions()}
    items = resumable.run_items(
        crystals.list_crystals(_CRYSTALS.value)[:_LIMIT.value],
        lambda folder: crystals.evaluate_crystal(
            folder.path, _D_MIN.value, _NUM_STARTS.value, _SEED.value, unknown_group=_UNKNOWN_GROUP.value,
            composition=_COMPOSITION.value, permuted=_PERMUTED.value, weights=network),
        crystals.format_crystal, _JSON.value, settings)
    if not processes.is_chief():
        return
    summary = crystals.summarize(items)
    app.print_line(crystals.format_summary(items, summary))
    resumable.write_result({**settings, **provenance.describe_run(), "items": items, "summary": summary}, _JSON.value)


def _evaluate_phasing() -> None:
    """Evaluates the stages of phasing on random atoms."""
    from launch.evaluation import phasing, report
    from phasenet import pretrained
    from phasenet.search import annealing, network_stage

    name = _WEIGHTS.value or pretrained.DEFAULT
    weights = pretrained.load(name)
    problem = weights.problem
    given: dict[str, Any] = {
        field: flags.FLAGS[field].value for field in _PROBLEM_FLAGS if flags.FLAGS[field].value is not None}
    atom_rules = {field: given.pop(field) for field in tuple(given) if field in problem.atoms._fields}
    problem = problem._replace(atoms=problem.atoms._replace(**atom_rules), **given)
    phasing.check_flags(problem, _stages(), weights)
    last_temperature = min(_TEMPERATURE.value, 1e-5)
    settings = network_stage.NetworkSettings(
        picker=_PICKER.value, num_chains=_NUM_CHAINS.value,
        schedule=annealing.Schedule(_NUM_SWAPS.value, _TEMPERATURE.value, last_temperature))
    app.print_line(f"{_NUM_CASES.value} cases of {problem.atoms.num_atoms} atoms in a box of "
                   f"{problem.atoms.inner_box:g} voxels, maps of {problem.grid} voxels per edge")
    items = phasing.evaluate(problem, settings, weights, _stages(), _NUM_CASES.value, _SEED.value,
                             report.PhasingProgress(_NUM_CASES.value))
    summary = phasing.summarize(items)
    app.print_line(report.format_phasing(summary))
    result = {"task": "phasing", "weights": name,
              "weights_sha256": provenance.weights_digest(pretrained.find_weights(name)), **provenance.describe_run(),
              "stages": _stages(), "seed": _SEED.value, "problem": problem._asdict(),
              "settings": settings._asdict(), "items": items, "summary": summary}
    if _JSON.value is not None:
        app.write_json(_JSON.value, result)
        app.print_line(f"written to {_JSON.value}")


if __name__ == "__main__":
    app.run(main)
