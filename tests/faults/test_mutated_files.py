"""Spoilt files are read as something sane, or refused in one line: the short form of mutate_files."""

import gzip

import pytest

from tests.faults import mutate_files
from tests.faults.mutations import gz_bomb, npz_bomb
from tests.faults.readers import READERS

# Those of whole folders take longer.
COUNTS = {"curve": 25, "structure": 20, "checkpoint": 5, "phasenet_weights": 8, "saxsae_weights": 8}
IN_PROCESS = [name for name in READERS if not READERS[name].flags]


@pytest.mark.parametrize("name", IN_PROCESS)
def test_spoilt_files(name, tmp_path, capfd):
    seeds = mutate_files.make_seeds(name, tmp_path / "seeds")
    assert all(mutate_files.check_file(name, path) == ("read", "") for path in seeds)
    for index in range(COUNTS.get(name, 12)):
        path, _ = mutate_files.spoil(name, seeds, seed=0, index=index, folder=tmp_path / "spoilt")
        outcome, text = mutate_files.check_file(name, path)
        assert outcome in ("read", "refused"), (index, text)
        assert not capfd.readouterr().err, index


@pytest.mark.parametrize(("reader", "name", "content"), [
    ("references", "a.npz", lambda: npz_bomb("names")), ("packed", "a.npz", lambda: npz_bomb("occupancy")),
    ("init_from", "a.npz", lambda: npz_bomb("w")), ("structure", "a.pdb.gz", lambda: gz_bomb(b"ATOM")),
    ("map", "a.ccp4.gz", lambda: gz_bomb(bytes(1024))), ("curve", "a.dat", lambda: gz_bomb(b"0.1 1 1")),
    ("ids", "a.txt", lambda: gzip.compress(b"1abc"))])
def test_bombs_are_refused(reader, name, content, tmp_path):
    """3 MB that unpack to 3 GB: a process that took them in would not live."""
    path = tmp_path / name
    path.write_bytes(content())
    outcome, text = mutate_files.check_file(reader, path)
    assert outcome == "refused" and text.startswith(str(path))


def test_the_check_sees_what_it_forbids(tmp_path, monkeypatch):
    def reader(error):
        def read(path):
            raise error
        return READERS["ids"]._replace(read=read)

    path = tmp_path / "ids.txt"
    for error, message in ((ValueError("ours"), "ValueError: 'ours'"), (MemoryError(), "MemoryError"),
                           (mutate_files.InputError("no name of a file"), "does not name the file")):
        monkeypatch.setitem(READERS, "ids", reader(error))
        outcome, text = mutate_files.check_file("ids", path)
        assert outcome == "fault" and message in text
    monkeypatch.setitem(READERS, "ids", READERS["ids"]._replace(read=lambda path: []))
    assert mutate_files.check_file("ids", path)[0] == "fault"
