"""Downloads crystals from the Crystallography Open Database (COD): structure and measured reflections.

    python -m launch.fetch_cod --ids=2016452,2242624 --output=DIR
    python -m launch.fetch_cod --ids=FILE --output=DIR

DIR/ID gets the entry's structure (ID.cif), its reflections (ID.hkl, which most entries do not have) and where they came
from (source.json). For each entry with reflections the program prints the command that solves it, such as

    python -m launch.solve --reflections=DIR/2016452/2016452.hkl --output=out/2016452

ID.cif holds the published atoms. `launch.solve` reads the cell, the symmetry, the formula and the radiation from this
file, and the form of the reflections from an embedded SHELX file; it never reads the atoms. Files that are already
there are not downloaded again.
"""

import shlex

from absl import flags

from launch import app
from phasenet.errors import InputError
from phasenet.io.servers import cod

_IDS = flags.DEFINE_string("ids", None, "Ids separated by commas, or a text file of ids.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write the entries' folders to.", required=True)
_URL = flags.DEFINE_string("url", cod.URL, "Address of the data bank's server or of a mirror, up to /ID.cif.")
_JSON = flags.DEFINE_string("json", None, "JSON file to write the outcome to.")

_TITLE_CHARACTERS = 90


def main(_: list[str]) -> None:
    """Downloads the entries and prints, for each, what it is and the command that solves it.

    Raises:
      InputError: an id or the address is not valid, the server cannot be reached, or no entry has reflections.
    """
    ids = cod.parse_ids(_IDS.value)
    folder = app.prepare_folder(_OUTPUT.value)
    app.print_line(f"fetching {len(ids)} entr{'y' if len(ids) == 1 else 'ies'} from {_URL.value} into {folder}")
    entries, unknown, failed = cod.download_entries(ids, folder, _URL.value, app.print_line)
    for entry in entries:
        for line in _describe(entry):
            app.print_line(line)
    for entry_id in unknown:
        app.print_line(f"{entry_id}  the data bank has no such entry")
    for entry_id, reason in failed:
        app.print_line(f"{entry_id}  not downloaded: {reason}; run again")

    with_reflections = sum(entry.reflections is not None for entry in entries)
    counts = {"asked_for": len(ids), "with_reflections": with_reflections,
              "without_reflections": len(entries) - with_reflections, "unknown": len(unknown),
              "not_fetched": len(failed)}
    app.print_line()
    for what, count in counts.items():
        app.print_line(f"{count:8d}  {what.replace('_', ' ')}")
    if _JSON.value:
        app.write_json(_JSON.value, {"items": entries, "unknown": unknown, "failed": dict(failed), "summary": counts})
    if not with_reflections:
        reason = "no entry has reflections that can be read; most entries of the COD have none"
        if not entries:
            reason = "no entry could be downloaded; run again" if failed else "the data bank has no such entry"
        raise InputError(f"--ids={_IDS.value}: {reason}")
    app.print_line("\nThe files .cif hold the published atoms; launch.solve does not use them.\n"
                   "Cite the articles and the COD (source.json).")


def _describe(entry: cod.CodEntry) -> list[str]:
    """Returns the lines that are printed for an entry."""
    title = entry.title if len(entry.title) <= _TITLE_CHARACTERS else f"{entry.title[:_TITLE_CHARACTERS - 3]}..."
    cell = "cell not given" if entry.cell is None else "cell " + " ".join(f"{number:g}" for number in entry.cell)
    lines = [f"{entry.id}  {entry.formula or 'formula not given'}  {title}".rstrip(),
             f"  {cell}, space group {entry.space_group or 'not given'}, "
             f"{entry.num_reflections or 'no'} measured reflections"]
    lines += [f"  {note}" for note in entry.notes]
    if entry.reflections is not None:
        lines.append(f"  python -m launch.solve --reflections={shlex.quote(str(entry.reflections))} "
                     f"--output=out/{entry.id}")
    return lines


if __name__ == "__main__":
    app.run(main)
