"""Downloads entries of the Small Angle Scattering Biological Data Bank (SASBDB), each into a folder.

    python -m launch.fetch_sasbdb --ids=SASDA28,SASDAC2 --output=DIR
    python -m launch.fetch_sasbdb --ids=FILE --output=DIR

DIR/ID gets the entry's curve (profile.dat, .out or .sascif), its reference model (reference.pdb or .cif), its further
models (model_2.pdb ...), its metadata (entry.json) and where all of these came from (source.json). Then run

    python -m launch.reconstruct --profile=DIR/ID/profile.dat --reference=DIR/ID/reference.pdb --output=OUT
    python -m launch.evaluate --task=reconstruction --pairs=DIR

Files that are already there are not downloaded again, so the same command continues after an interruption.
"""

from absl import flags

from launch import app
from phasenet.errors import InputError
from saxsae.io.servers import sasbdb

_IDS = flags.DEFINE_string("ids", None, "Ids separated by commas, or a text file of ids.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write the entries' folders to.", required=True)
_URL = flags.DEFINE_string("url", sasbdb.URL, "Address of the data bank's server.")
_JSON = flags.DEFINE_string("json", None, "JSON file to write the outcome to.")


def main(_: list[str]) -> None:
    """Downloads the entries and prints, for each, its files and notes."""
    ids = sasbdb.parse_ids(_IDS.value)
    folder = app.prepare_folder(_OUTPUT.value)
    app.print_line(f"fetching {len(ids)} entr{'y' if len(ids) == 1 else 'ies'} from {_URL.value} into {folder}")
    entries, unknown, failed = sasbdb.download_entries(ids, folder, _URL.value, app.print_line)
    for entry in entries:
        names = [file.name for file in (entry.profile, entry.reference) if file]
        more = [f"{entry.models - 1} more"] if entry.models > 1 else []
        app.print_line(f"{entry.id}  {', '.join(names + more) or 'no curve or model that can be read'}")
        for note in entry.notes:
            app.print_line(f"  {note}")
    for entry_id in unknown:
        app.print_line(f"{entry_id}  the data bank has no such entry")
    for entry_id, reason in failed:
        app.print_line(f"{entry_id}  not downloaded: {reason}; run again")

    counts = {"asked_for": len(ids), "with_curve_and_model": sum(bool(e.profile and e.reference) for e in entries),
              "without_model": sum(bool(e.profile and not e.reference) for e in entries),
              "without_curve": sum(not e.profile for e in entries), "unknown": len(unknown), "not_fetched": len(failed)}
    app.print_line()
    for what, count in counts.items():
        app.print_line(f"{count:8d}  {what.replace('_', ' ')}")
    if _JSON.value:
        app.write_json(_JSON.value, {"items": entries, "unknown": unknown, "failed": dict(failed), "summary": counts})
    if not any(entry.profile for entry in entries):
        raise InputError(f"--ids={_IDS.value}: no entry has a curve that can be read")


if __name__ == "__main__":
    app.run(main)
