r"""Fits the constants of the stated confidence, and adds them to a release.

    python -m launch.evaluate --task=confidence --structures=STRUCTURES --corpus=work/corpus.npz \
        --json=out/held_out.json
    python -m launch.datasets.fit_confidence --evaluation=out/held_out.json --weights=lean --output=work/lean

It prints how often the intervals hold, by cross-validation: the intervals of each fifth of the structures come from
constants that were fitted to the others. The release gets the constants that are fitted to all.
"""

import json
import pathlib

from absl import flags

from launch import app
from launch.evaluation import confidence
from launch.machine import provenance
from phasenet.errors import InputError
from phasenet.io import releases
from saxsae import pretrained

_EVALUATION = flags.DEFINE_string("evaluation", None, "File that launch.evaluate --task=confidence wrote.",
                                  required=True)
_WEIGHTS = flags.DEFINE_string("weights", pretrained.DEFAULT, "The weights that were evaluated.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the release to write: --weights with the constants.",
                              required=True)

_FEWEST_ITEMS = 30  # with fewer, the quantiles of 5% and 95% are those of one structure


def main(_: list[str]) -> None:
    """Writes the release and prints how often the intervals hold, by cross-validation."""
    path = pathlib.Path(_EVALUATION.value)
    source = pretrained.find_weights(_WEIGHTS.value)
    try:
        evaluation = json.loads(path.read_text(encoding="utf-8"))
        items = [item for item in evaluation["items"] if "error" not in item]
        if len(items) < _FEWEST_ITEMS:
            raise InputError(f"{path}: {len(items)} structures without an error; {_FEWEST_ITEMS} are needed")
        model, checked = confidence.fit(items), confidence.cross_validate(items)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a result of launch.evaluate --task=confidence ({error})") from error
    if evaluation.get("weights_sha256") != provenance.weights_digest(source):
        app.print_line(f"{path} was made with other weights than {_WEIGHTS.value}")
    folder = app.prepare_folder(_OUTPUT.value)
    releases.copy_release(source, folder)
    pretrained.save_confidence(folder, model)
    app.print_line(confidence.format_summary(confidence.summarize(checked), confidence.measure_reliability(checked),
                                             confidence.group_by_ambiguity(checked)))
    app.print_line(f"written to {folder / pretrained.CONFIDENCE}")


if __name__ == "__main__":
    app.run(main)
