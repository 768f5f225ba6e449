"""Downloads against a server that fails, truncates, lacks and lies."""

import gzip

import file_server
import pytest

from phasenet.errors import InputError
from saxsae.io.servers import rcsb

ENTRY = gzip.compress(b"data_1abc\n" * 500)


@pytest.fixture
def server():
    with file_server.serving(ENTRY, "/download/") as state:
        yield state


def fetch(server, ids, folder, **kwargs):
    return rcsb.download_structures(ids, folder, server.url, pause_seconds=0.001, timeout_seconds=5, **kwargs)


def test_retries_falls_back_and_tells_what_is_missing(server, tmp_path):
    server.answers = {
        "1abc-assembly1.cif.gz": ["503", "hang up", "200x"],
        "2abc-assembly1.cif.gz": ["cut", "page", "whole"],
        "3abc.cif.gz": ["whole"],  # no assembly
        "5abc-assembly1.cif.gz": ["no length"],
    }
    result = fetch(server, ["1abc", "2abc", "3abc", "4abc", "5abc"], tmp_path / "new")
    assert [path.name for path in result.files] == [
        "1abc-assembly1.cif.gz", "2abc-assembly1.cif.gz", "3abc.cif.gz", "5abc-assembly1.cif.gz"]
    assert result.missing == ["4abc"] and result.failed == []
    assert all(path.read_bytes() == ENTRY for path in result.files)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(
        path.name for path in result.files)
    assert server.asked["1abc-assembly1.cif.gz"] == server.asked["2abc-assembly1.cif.gz"] == 3


def test_what_is_there_is_not_asked_for_again(server, tmp_path):
    server.answers = {"1abc-assembly1.cif.gz": ["whole"], "2abc-assembly1.cif.gz": ["whole"]}
    (tmp_path / "2abc-assembly1.cif.gz.part").write_bytes(b"half of an earlier run")
    fetch(server, ["1abc"], tmp_path)
    result = fetch(server, ["1abc", "2abc"], tmp_path)
    assert len(result.files) == 2 and server.asked["1abc-assembly1.cif.gz"] == 1
    assert (tmp_path / "2abc-assembly1.cif.gz").read_bytes() == ENTRY
    assert not list(tmp_path.glob("*.part"))


def test_one_bad_entry_does_not_stop_the_others(server, tmp_path):
    good = [f"{i}abc" for i in range(1, 8)]
    server.answers = {f"{i}-assembly1.cif.gz": ["whole"] for i in good}
    server.answers["9bad-assembly1.cif.gz"] = ["cut"]
    result = fetch(server, ["9bad", *good], tmp_path, attempts=2)
    assert len(result.files) == 7
    ((name, reason),) = result.failed
    assert name == "9bad" and "bytes" in reason
    assert server.most_at_once <= 4


def test_an_outage_ends_in_one_line(server, tmp_path):
    server.answers = {f"{i}abc-assembly1.cif.gz": ["500"] for i in range(1, 10)}
    with pytest.raises(InputError, match="run again") as info:
        fetch(server, [f"{i}abc" for i in range(1, 10)], tmp_path, attempts=2)
    assert "HTTP 500" in str(info.value) and "\n" not in str(info.value)
    assert not list(tmp_path.iterdir())


def test_no_server(tmp_path):
    with pytest.raises(InputError, match="1abc"):
        rcsb.download_structures(["1abc"], tmp_path, "http://127.0.0.1:9", attempts=2, pause_seconds=0.001)
    with pytest.raises(InputError, match="http://"):
        rcsb.download_structures(["1abc"], tmp_path, "ftp://somewhere")


def test_lists_of_ids(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("1ABC, 2xyz  # two\n\n# none\n1abc;3def\n")
    assert rcsb.read_pdb_ids(path) == ["1abc", "2xyz", "3def"]
    for text, message in (("1abc\nlysozyme\n", "line 2: 'lysozyme'"), ("1234\n", "line 1"),
                          ("# nothing\n", "no PDB id")):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            rcsb.read_pdb_ids(path)
    path.write_bytes(b"\xef\xbb\xbf1abc\r\n")  # as some editors begin a file
    assert rcsb.read_pdb_ids(path) == ["1abc"]
    with path.open("wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(InputError, match="larger than 16 MB"):
        rcsb.read_pdb_ids(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="text file"):
        rcsb.read_pdb_ids(path)
    with pytest.raises(InputError, match="no such file"):
        rcsb.read_pdb_ids(tmp_path / "absent")
