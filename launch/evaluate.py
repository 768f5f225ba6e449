"""Measures the released weights and the ways built on them against references.

    python -m launch.evaluate --task=autoencoder --references=FILE.npz --json=FILE
    python -m launch.evaluate --task=reconstruction --pairs=DIR [--given_radius] --json=FILE
    python -m launch.evaluate --task=simulated --references=FILE.npz [--given_radius] --json=FILE

An interrupted run with --json goes on where it was: the same command.
"""

import hashlib
import pathlib

from absl import flags

from launch import app
from phasenet.errors import InputError

_USES = {
    "autoencoder": {"references"},
    "reconstruction": {"pairs", "given_radius", "maps_dir", "num_models", "seed"},
    "simulated": {"references", "given_radius", "maps_dir", "num_models", "seed", "published"},
}
_TASK = flags.DEFINE_enum("task", None, list(_USES), "What to measure.", required=True)
_REFERENCES = flags.DEFINE_string("references", None, "Archive (.npz) of reference structures.")
_PAIRS = flags.DEFINE_string(
    "pairs", None, "Folder of folders, each with a curve profile.* and its model reference.*.")
_GIVEN_RADIUS = flags.DEFINE_bool("given_radius", False, "Tell the solver the reference's radius.")
_LIMIT = flags.DEFINE_integer("limit", None, "Only the first so many.", lower_bound=1)
_MAPS_DIR = flags.DEFINE_string("maps_dir", None, "Folder for the reconstructed maps, ID.ccp4.")
_PUBLISHED = flags.DEFINE_bool(
    "published", False, "Measure the maps of a published_maps.npz beside the references too.")
_WEIGHTS = flags.DEFINE_string("weights", "lean", "Released weights by name, or their folder.")
_NUM_MODELS = flags.DEFINE_integer("num_models", None, "Independent models a curve.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the reconstructions.", lower_bound=0)
_JSON = flags.DEFINE_string("json", None, "Write items and summary there.")


def _require(flag: str, tasks: tuple[str, ...]) -> None:
    flags.register_validator(
        flag, lambda value: value is not None or flags.FLAGS["task"].value not in tasks,
        f"Flag --{flag} must have a value other than None.")


_require("references", ("autoencoder", "simulated"))
_require("pairs", ("reconstruction",))


def main(_: list[str]) -> None:
    _refuse_foreign_flags()
    app.enable_compilation_cache()
    from launch.devices import split_cpu  # here: a mistyped flag should not wait for jax
    from saxsae import pretrained

    if _TASK.value != "autoencoder":
        split_cpu(_NUM_MODELS.value or 8)  # results are the same on any number of devices
    weights = pretrained.load(_WEIGHTS.value)
    evaluate = _autoencoder if _TASK.value == "autoencoder" else _shapes
    evaluate(weights, {
        "task": _TASK.value, "weights": _WEIGHTS.value,
        "weights_sha256": _fingerprint(pretrained.resolve(_WEIGHTS.value)),
        **{name: flags.FLAGS[name].value for name in sorted(_USES[_TASK.value] - {"maps_dir"})}})


def _refuse_foreign_flags() -> None:
    known = set().union(*_USES.values())
    for name in sorted(known - _USES[_TASK.value]):
        if flags.FLAGS[name].present:
            raise InputError(f"--{name} has no meaning for --task={_TASK.value}")


def _autoencoder(weights, settings: dict) -> None:
    from launch.evaluation import autoencoder, report, resumable
    from saxsae.io.corpus import read_references

    structures = read_references(_REFERENCES.value)[:_LIMIT.value]
    app.say(f"{len(structures)} structures through the {weights.info['kind']} network")
    items, summary = autoencoder.evaluate(structures, weights)
    summary["weights"] = _WEIGHTS.value
    app.say(report.encoded(items, summary))
    resumable.finish({**settings, "items": items, "summary": summary}, _JSON.value)


def _shapes(weights, settings: dict) -> None:
    from launch.evaluation import cases, reconstruction, report, resumable

    if _TASK.value == "reconstruction":
        chosen = cases.measured_pairs(_PAIRS.value)
    else:
        chosen = cases.simulated(_REFERENCES.value, _GIVEN_RADIUS.value, _PUBLISHED.value)
        app.say("curves are computed from the models, with noise; those published were measured")
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
    summary = reconstruction.summarize(items)
    app.say(report.shapes(items, summary))
    resumable.finish({**settings, "items": items, "summary": summary}, _JSON.value)


def _fingerprint(folder: pathlib.Path) -> str:
    return hashlib.sha256((folder / "decoder.npz").read_bytes()).hexdigest()[:16]


if __name__ == "__main__":
    app.run(main)
