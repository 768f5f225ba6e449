"""launch.serve takes the files of a crystal: several uploads that are read together, and what is refused."""

import pytest
from made_crystals import make_crystal
from served import toys, wait_for

pytest.importorskip("starlette", reason="the extra serve is not installed")
from starlette.testclient import TestClient  # noqa: E402

from launch.serving import commands, jobs, web  # noqa: E402

BAD_NAME = "../../<img src=x onerror=alert(1)>.hkl"
CELL = "7.4 11.3 11.6 90 104 90"


@pytest.fixture
def client(tmp_path, monkeypatch):
    toys(monkeypatch, seed2="refuses")
    with TestClient(web.make_application(tmp_path), base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture(scope="module")
def rows():
    measured = make_crystal("P 1 21/c 1").reflections
    factor = 9000 / measured.intensity.max()
    text = "".join(f"{h:4d}{k:4d}{l:4d}{i * factor:8.2f}{s * factor:8.2f}\n"
                   for (h, k, l), i, s in zip(measured.hkl, measured.intensity, measured.sigma, strict=True))
    return (text + "   0   0   0    0.00    0.00\n").encode()


@pytest.fixture(scope="module")
def instructions():
    return (f"TITL made\nCELL 0.71073 {CELL}\nZERR 4 0 0 0 0 0 0\nLATT 1\nSYMM -x,y+1/2,-z+1/2\n"
            "SFAC C H N O Cl\nUNIT 28 28 8 8 4\nHKLF 4\nEND\n").encode()


def give(client, kind, name, content, **more):
    return client.post("/api/uploads", params={"kind": kind, "name": name, **more}, content=content)


def give_both(client, rows, instructions, name="mine.hkl"):
    beside = give(client, "crystal.ins", "mine.ins", instructions).json()
    return give(client, "crystal.hkl", name, rows, beside=beside["id"]).json(), beside


def test_reflections_are_read_with_what_lies_beside_them(client, rows, instructions):
    found, beside = give_both(client, rows, instructions)
    assert beside["lines"] == 10 and found["beside"] == ["mine.ins"]
    assert found["form"] == "HKLF 4" and found["reflections"] == rows.count(b"\n") - 1
    assert found["cell"] == [float(value) for value in CELL.split()] and found["has_symmetry"]
    assert found["elements"]["Cl"] == 4 and found["radiation"] == "xray"
    assert any("mine.hkl" in note for note in found["notes"]) and not any("crystal." in note for note in found["notes"])
    again = client.get(f"/api/uploads/{found['id']}", params={"beside": beside["id"], "formula": "C7H7N2O2Cl"}).json()
    assert again["id"] == found["id"] and again["elements"]["C"] == 28


def test_what_the_files_lack_can_be_given(client, rows, tmp_path):
    refused = give(client, "crystal.hkl", BAD_NAME, rows)
    assert refused.status_code == 422
    assert refused.json()["error"].startswith("<img src=x onerror=alert(1)>.hkl: ")
    assert "the unit cell below" in refused.json()["error"] and str(tmp_path) not in refused.json()["error"]
    assert not list((tmp_path / "uploads").iterdir())
    found = give(client, "crystal.hkl", "mine.hkl", rows, cell=CELL, space_group="P 21/c", formula="C7H7N2O2Cl").json()
    assert found["space_group"] == "P 21/c" and found["elements"]["N"] == 8
    assert give(client, "crystal.hkl", "mine.hkl", rows, cell="7 8").json()["error"].startswith("cell: a text such as")
    assert give(client, "crystal.hkl", "mine.hkl", rows, cell=CELL, beside="nothing").status_code == 404
    assert give(client, "crystal.ins", "mine.ins", b"\0" * 600).status_code == 422


@pytest.mark.parametrize("name", ["crystal.hkl", "my crystal.hkl", "crystal.cif"])
def test_messages_name_the_users_file_also_where_its_name_is_like_ours(client, rows, name):
    assert give(client, "crystal.hkl", name, rows).json()["error"].startswith(f"{name}: no unit cell")


def test_reflections_do_not_lie_beside_reflections(client, rows):
    found = give(client, "crystal.hkl", "one.hkl", rows, cell=CELL).json()
    refused = give(client, "crystal.hkl", "two.hkl", rows, cell=CELL, beside=found["id"])
    assert refused.status_code == 422
    assert refused.json()["error"].startswith("one.hkl: was given as crystal.hkl; beside reflections")


def test_a_job_has_all_files_under_names_of_ours(client, rows, instructions, tmp_path):
    found, beside = give_both(client, rows, instructions, "../../mine.hkl")
    asked = {"source": "crystal", "input": found["id"], "beside": {"crystal.ins": beside["id"]},
             "settings": {"seed": 2}}
    job = client.post("/api/jobs", json=asked).json()
    assert job["kind"] == "crystal" and job["name"] == "mine.hkl" and job["settings"]["crystal.ins"] == "mine.ins"

    def ended():
        now = client.get(f"/api/jobs/{job['id']}").json()
        return now if now["ended"] else None

    assert wait_for(ended)["status"] == "failed"
    again = client.post(f"/api/jobs/{job['id']}/again").json()
    for folder in (tmp_path / "jobs" / job["id"], tmp_path / "jobs" / again["id"]):
        assert (folder / "crystal.hkl").read_bytes() == rows
        assert (folder / "crystal.ins").read_bytes() == instructions
    swapped = client.post("/api/jobs", json=asked | {"beside": {"crystal.cif": beside["id"]}})
    assert swapped.json()["error"] == "mine.ins: was given as crystal.ins, not as crystal.cif"
    unknown = client.post("/api/jobs", json=asked | {"beside": {"crystal.res": beside["id"]}})
    assert unknown.status_code == 422 and "expected crystal.ins or crystal.cif" in unknown.json()["error"]


@pytest.mark.parametrize(("asked", "line"), [
    ({"cell": "7 8 9 90 90"}, "cell: "), ({"cell": "7 8 9 90 90 90 --seed=1"}, "cell: "),
    ({"cell": [7, 8, 9, 90, 90, 90]}, "cell: "), ({"formula": "C6;H6"}, "formula: "),
    ({"formula": "C" * 101}, "formula: "),
    ({"space_group": "P 21/c\n--x"}, "space_group: "), ({"num_starts": 0}, "num_starts: "),
    ({"radiation": "light"}, "radiation: one of"), ({"output": "x"}, "output: no such setting")])
def test_settings_that_cannot_be_are_refused(client, rows, asked, line):
    found = give(client, "crystal.hkl", "mine.hkl", rows, cell=CELL).json()
    answer = client.post("/api/jobs", json={"source": "crystal", "input": found["id"], "settings": asked})
    assert answer.status_code == 422 and answer.json()["error"].startswith(line)


def test_settings_become_flags():
    settings = commands.validate_settings("crystal", {
        "cell": "7.4, 11.3, 11.6, 90, 104, 90", "formula": "C7 H7 N2 O2 Cl", "space_group": "P 1 21/c 1 (a)",
        "unknown_group": "yes", "num_starts": "4"})
    (solve,) = commands.build_commands(jobs.Job(1, "a", "crystal", "n", settings, "queued", "", 0.0, None, None))
    assert solve == ["launch.solve", "--output=result", "--reflections=crystal.hkl",
                     "--cell=7.4, 11.3, 11.6, 90, 104, 90", "--space_group=P 1 21/c 1 (a)", "--formula=C7 H7 N2 O2 Cl",
                     "--num_starts=4", "--seed=0", "--unknown_group"]


def test_the_page_tells_the_largest_size_that_is_taken(client):
    assert "Up to 64 MB each" in client.get("/patterson").text
