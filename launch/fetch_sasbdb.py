"""Entries of the Small Angle Scattering Biological Data Bank (SASBDB), by their ids, to folders.

    python -m launch.fetch_sasbdb --ids=SASDA28,SASDAC2 --output=DIR
    python -m launch.fetch_sasbdb --ids=FILE --output=DIR

For each entry DIR/ID with its curve (profile.dat or .out), its model (reference.pdb or .cif; the further ones
model_2.pdb ...), its metadata (entry.json) and where they came from (source.json). Then

    python -m launch.reconstruct --profile=DIR/ID/profile.dat --reference=DIR/ID/reference.pdb --output=OUT
    python -m launch.evaluate --task=reconstruction --pairs=DIR

What is there is not asked for again: the same command goes on where it was interrupted.
"""

from absl import flags

from launch import app
from phasenet.errors import InputError
from saxsae.io.servers import sasbdb

_IDS = flags.DEFINE_string("ids", None, "Ids with commas between, or a text file of them.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the entries' folders.", required=True)
_URL = flags.DEFINE_string("url", sasbdb.URL, "The data bank's server.")
_JSON = flags.DEFINE_string("json", None, "Write what came there as JSON too.")


def main(_: list[str]) -> None:
    ids = sasbdb.parse_ids(_IDS.value)
    folder = app.prepare_folder(_OUTPUT.value)
    app.print_line(f"fetching {len(ids)} entr{'y' if len(ids) == 1 else 'ies'} from {_URL.value} into {folder}")
    entries, unknown, failed = sasbdb.download_entries(ids, folder, _URL.value, app.print_line)
    for entry in entries:
        names = [file.name for file in (entry.profile, entry.reference) if file]
        more = [f"{entry.models - 1} more"] if entry.models > 1 else []
        app.print_line(f"{entry.id}  {', '.join(names + more) or 'nothing of use'}")
        for note in entry.notes:
            app.print_line(f"  {note}")
    for entry_id in unknown:
        app.print_line(f"{entry_id}  the data bank has no such entry")
    for entry_id, reason in failed:
        app.print_line(f"{entry_id}  not fetched: {reason}; run again to go on")

    counts = {"asked_for": len(ids), "with_curve_and_model": sum(bool(e.profile and e.reference) for e in entries),
              "without_model": sum(bool(e.profile and not e.reference) for e in entries),
              "without_curve": sum(not e.profile for e in entries), "unknown": len(unknown), "not_fetched": len(failed)}
    app.print_line()
    for what, count in counts.items():
        app.print_line(f"{count:8d}  {what.replace('_', ' ')}")
    if _JSON.value:
        app.write_json(_JSON.value, {"items": entries, "unknown": unknown, "failed": dict(failed), "summary": counts})
    if not any(entry.profile for entry in entries):
        raise InputError(f"--ids={_IDS.value}: no curve came of any of them")


if __name__ == "__main__":
    app.run(main)
