"""launch.serve: its routes, whom it refuses, and what it makes of files and settings."""

import io
import json
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from served import EXAMPLE, HERE, toys, wait_for

pytest.importorskip("starlette", reason="the extra serve is not installed")
from starlette.testclient import TestClient  # noqa: E402

from launch.serving import commands, jobs, reading, web  # noqa: E402
from phasenet.errors import InputError  # noqa: E402

ROOT = HERE.parents[1]
HOST = "http://127.0.0.1:8000"
BAD_NAME = "../../<img src=x onerror=alert(1)>.dat"


@pytest.fixture
def client(tmp_path, monkeypatch):
    toys(monkeypatch, seed1="sleeps", seed2="refuses", seed3="breaks")
    with TestClient(web.make_application(tmp_path), base_url=HOST) as client:
        yield client


def give(client, content=None, kind="curve", name="mine.dat", **more):
    content = EXAMPLE.read_bytes() if content is None else content
    return client.post("/api/uploads", params={"kind": kind, "name": name, **more}, content=content)


def start(client, seed=0, **more):
    answer = client.post("/api/jobs", json={"source": "curve", "input": "example", "settings": {"seed": seed}, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def ended(client, job):
    """The job once it has ended."""
    def look():
        now = client.get(f"/api/jobs/{job['id']}").json()
        return now if now["ended"] else None
    return wait_for(look)


@pytest.mark.parametrize("address", ["/", "/patterson", "/runs", "/jobs/any"])
def test_a_page_runs_nothing_but_its_own_files(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", answer.text)
    for linked in re.findall(r'(?:src|href)="(/(?:static|vendor|pages)/[^"]+)"', answer.text):
        assert client.get(linked).status_code == 200, linked


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example", "",
                                  "a b", "["])
def test_a_strangers_name_is_refused(client, host):
    answer = client.get("/api/jobs", headers={"host": host})
    assert answer.status_code == 403 and "content-security-policy" in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "192.168.1.7:8000"])
def test_a_name_of_ours_is_not(client, host):
    assert client.get("/api/jobs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"origin": "null"},
                                     {"origin": "http://127.0.0.1:9000"}, {"sec-fetch-site": "cross-site"},
                                     {"sec-fetch-site": "same-site"}])
def test_requests_of_other_pages_are_refused(client, headers):
    job = start(client, seed=1)
    assert client.post(f"/api/jobs/{job['id']}/cancel", headers=headers).status_code == 403
    own = {"origin": HOST, "sec-fetch-site": "same-origin"}
    assert client.post(f"/api/jobs/{job['id']}/cancel", headers=own).status_code == 200


def test_a_curve_is_read_as_the_launch_reads_it(client):
    found = give(client).json()
    assert found["points"] == len(found["q"]) == 172 and found["unit"] == "1/A" and found["name"] == "mine.dat"
    assert found["guinier"]["rg"] == pytest.approx(21.39, abs=0.01) and not found["sigma_estimated"]
    assert found["notes"] == ["q in 1/A, as the file says"]
    other = client.get(f"/api/uploads/{found['id']}", params={"unit": "1/nm"}).json()
    assert other["q_max"] == pytest.approx(found["q_max"] / 10) and "q in 1/nm, as given" in other["notes"]
    assert client.get("/api/uploads/example").json()["q"] == found["q"]
    assert found["verdict"].startswith("shape: ") and "undecided" not in found


def test_a_curve_whose_unit_must_be_chosen_is_shown_and_says_so(client):
    q = np.linspace(0.05, 0.5, 80)
    large = "".join(f"{x:.5g} {100 * np.exp(-((10 * x) ** 2) / 3) + 1:.5g} 0.5\n" for x in q)
    found = give(client, large.encode()).json()
    assert found["undecided"].startswith("the unit of q is not stated, and both are possible")
    chosen = client.get(f"/api/uploads/{found['id']}", params={"unit": "1/nm"}).json()
    assert "undecided" not in chosen and chosen["unit"] == "1/nm"
    assert chosen["guinier"]["rg"] == pytest.approx(100, rel=0.1)


def test_an_unfit_curve_is_shown_with_its_verdict(client):
    flat = "".join(f"{x:.5g} {1 + 0.01 * (i % 3)} 0.01\n" for i, x in enumerate(np.linspace(0.01, 0.3, 80)))
    assert give(client, b"# q (1/A) I sigma\n" + flat.encode()).json()["verdict"].startswith("no shape: ")


def test_a_bad_file_gives_the_readers_line_and_is_not_kept(client, tmp_path):
    answer = give(client, b"hello", name=BAD_NAME)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("<img src=x onerror=alert(1)>.dat: has no table of numbers")
    assert not list((tmp_path / "uploads").iterdir())
    assert give(client, b"").json()["error"] == "mine.dat: the file is empty"
    assert give(client, kind="virus").status_code == 422


@pytest.mark.parametrize(("kind", "content", "voxels"), [
    ("patterson", np.ones((4, 4, 4)), [4, 4, 4]), ("amplitudes", np.ones((6, 6, 4)), [6, 6, 6])])
def test_maps_and_amplitudes_are_read(client, kind, content, voxels):
    file = io.BytesIO()
    np.save(file, content)
    assert give(client, file.getvalue(), kind).json()["voxels"] == voxels
    assert "neither" in give(client, b"\0\0", kind).json()["error"]


def test_a_structure_is_read(client):
    found = give(client, EXAMPLE.with_suffix(".pdb").read_bytes(), "reference", "mine.pdb").json()
    assert found["of"] == "beads" and found["atoms"] > 100


def test_names_are_never_paths(client, tmp_path):
    found = give(client, name="../../../escaped.dat").json()
    assert found["name"] == "escaped.dat"
    job = ended(client, start(client, input=found["id"]))
    assert job["name"] == "escaped.dat"
    inside = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {f"uploads/{found['id']}/curve", f"jobs/{job['id']}/curve"} <= inside
    assert not [path for path in tmp_path.parent.rglob("*escaped*")]
    for name in ("..%2Fcurve", "..%2F..%2F..%2Fjobs.sqlite", ".half", "%2Fetc%2Fpasswd", "curve", "a%00b"):
        assert client.get(f"/jobs/{job['id']}/files/{name}").status_code == 404
    for path in ("/jobs/..%2F/files/curve", "/api/uploads/..%2F..", "/static/..%2Fweb.py", "/vendor/..%2Fpage.py"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(("page", "kind"), [("/", "curve"), ("/patterson", "patterson"), ("/patterson", "amplitudes")])
def test_the_page_tells_the_largest_size_that_is_taken(client, page, kind):
    assert f"p to {reading.MAX_BYTES[kind] // reading.MEGABYTE} MB" in client.get(page).text


def test_what_is_too_large_is_refused(client, tmp_path, monkeypatch):
    monkeypatch.setitem(reading.MAX_BYTES, "curve", 2 * reading.MEGABYTE)
    answer = give(client, b"1 2 3\n" * 400_000)
    assert answer.status_code == 413 and answer.json()["error"] == "mine.dat: larger than the limit of 2 MB"
    assert client.post("/api/jobs", content=b"[" * 20_000).status_code == 413
    assert not (tmp_path / "uploads").exists()


def test_the_oldest_uploads_go(client, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "MAX_UPLOADS", 2)
    ids = [give(client).json()["id"] for _ in range(3)]
    assert {path.name for path in (tmp_path / "uploads").iterdir()} == set(ids[1:])
    gone = client.post("/api/jobs", json={"source": "curve", "input": ids[0], "settings": {}})
    assert gone.status_code == 404 and "upload it again" in gone.json()["error"]


@pytest.mark.parametrize(("asked", "line"), [
    ({"radius": "7000"}, "radius: a number from 2 to 1000 is needed, not 7000"),
    ({"num_models": "2.5"}, "num_models: a whole number from 1 to 100 is needed, not 2.5"),
    ({"num_models": 10**400}, "num_models: "), ({"q_max": "nan"}, "q_max: a number"), ({"q_max": [1]}, "q_max: "),
    ({"symmetry": "C13"}, "symmetry: a text such as C3 is needed, not 'C13'"),
    ({"unit": "1/m"}, "unit: one of 1/A, 1/nm is needed, not '1/m'"), ({"weights": "../lean"}, "weights: one of"),
    ({"output": "/tmp"}, "output: no such setting")])
def test_settings_that_cannot_be_are_refused(client, asked, line):
    answer = client.post("/api/jobs", json={"source": "curve", "input": "example", "settings": asked})
    assert answer.status_code == 422 and answer.json()["error"].startswith(line)
    assert client.get("/api/jobs").json() == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"1", b'{"source": "x"}', b'{"source": []}', b"[" * 9000,
                                     b'{"source": "curve", "settings": 1}', b'{"source": "\xff"}'])
def test_what_is_no_job_is_refused(client, content):
    assert client.post("/api/jobs", content=content).status_code == 422


def test_a_file_is_taken_for_what_it_was_given(client):
    found = give(client, EXAMPLE.with_suffix(".pdb").read_bytes(), "reference", "mine.pdb").json()
    answer = client.post("/api/jobs", json={"source": "curve", "input": found["id"], "settings": {}})
    assert answer.json()["error"] == "mine.pdb: was given as reference, not as curve"


def test_settings_become_flags():
    def flags_of(source, asked, **more):
        settings = commands.validate_settings(source, asked) | more
        return commands.build_commands(jobs.Job(1, "a", "k", "n", settings, "queued", "", 0.0, None, None))

    (reconstruct,) = flags_of("curve", {"radius": "40", "unit": "1/nm", "background": "yes", "symmetry": "d3"},
                              reference="b.pdb")
    assert reconstruct[0] == "launch.reconstruct" and "--generations=None" not in reconstruct
    assert {"--profile=curve", "--radius=40.0", "--unit=1/nm", "--q_max=0.2", "--background", "--seed=0",
            "--symmetry=d3", "--reference=reference", "--output=result",
            "--progress=progress.jsonl"} <= set(reconstruct)
    (solve,) = flags_of("amplitudes", {"num_atoms": 7, "pitch": 0.5})
    assert {"--amplitudes=amplitudes", "--num_atoms=7", "--pitch=0.5", "--noise=0"} <= set(solve)
    make, solve, _ = flags_of("random", {"num_atoms": 7, "noise": "0.1"})
    assert {"--num_atoms=7", "--noise=0.1", "--inner_box=12"} <= set(make)
    assert "--noise=0.1" in solve and not [flag for flag in solve if flag.startswith("--num_atoms")]


def test_a_result_is_shown_and_taken_home(client):
    job = ended(client, start(client))
    assert job["status"] == "done" and [file["name"] for file in job["files"]] == ["log.json", "report.html"]
    shown = client.get(f"/jobs/{job['id']}/files/report.html")
    policy = shown.headers["content-security-policy"]
    assert "sandbox allow-scripts allow-downloads;" in policy and "connect-src" not in policy
    assert "allow-same-origin" not in policy and shown.text == "<title>toy</title><script>1</script>"
    assert "ResizeObserver" in client.get(f"/jobs/{job['id']}/files/report.html?framed").text
    assert client.get(f"/jobs/{job['id']}/files/log.json").headers["content-type"].startswith("text/plain")
    kept = client.get(f"/jobs/{job['id']}/files/log.json?download")
    assert f'filename="three_lobes_{job["id"][:6]}_log.json"' in kept.headers["content-disposition"]
    packed = client.get(f"/jobs/{job['id']}/archive.zip")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        stem = f"three_lobes_{job['id'][:6]}"
        assert archive.namelist() == [f"{stem}/log.json", f"{stem}/report.html"]


def test_events_tell_all_from_the_start(client):
    job = ended(client, start(client))
    for _ in range(2):
        told = [(re.search("event: (.*)", event)[1], json.loads(event.split("data: ")[1]))
                for event in client.get(f"/api/jobs/{job['id']}/events").text.strip().split("\n\n")]
        assert told[0] == ("begin", {}) and told[-1][0] == "job" and told[-1][1]["status"] == "done"
        # The last line of the progress is not whole.
        assert [data["generation"] for name, data in told if name == "progress"] == [0, 5]
        assert ("log", ["toy job: says"]) in told


def test_a_failure_is_told_in_the_users_name_of_the_file(client):
    found = give(client, name="mine.dat").json()
    assert ended(client, start(client, seed=2, input=found["id"]))["message"] == (
        "mine.dat: only 3 usable points, at least 10 are needed")
    broken = ended(client, start(client, seed=3))
    assert broken["status"] == "failed" and "exit code 1: RuntimeError: a fault of ours" in broken["message"]


def test_a_run_is_repeated_and_removed(client, tmp_path):
    found = give(client).json()
    job = ended(client, start(client, input=found["id"]))
    again = ended(client, client.post(f"/api/jobs/{job['id']}/again").json())
    assert again["settings"] == job["settings"] and again["name"] == job["name"] and again["id"] != job["id"]
    assert (tmp_path / "jobs" / again["id"] / "curve").read_bytes() == EXAMPLE.read_bytes()
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert client.get(f"/api/jobs/{job['id']}").status_code == 404
    assert not (tmp_path / "jobs" / job["id"]).exists()


def test_a_taken_port_is_told_in_one_line(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([sys.executable, "-m", "launch.serve", f"--port={port}", f"--folder={tmp_path}"],
                              cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"serve: 127.0.0.1:{port} is in use: give another --port (0 takes any free one)\n"


def test_what_is_not_installed_is_told_in_one_line(tmp_path):
    program = ("import sys; sys.modules['uvicorn'] = None; from launch import app, serve; "
               f"sys.argv = ['serve', '--port=0', '--folder={tmp_path}']; app.run(serve.main)")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "serve: uvicorn is not installed: pip install -e .[serve]\n"


def test_two_pages_do_not_share_a_folder(client, tmp_path):
    with pytest.raises(InputError, match="another launch.serve uses this folder"):
        jobs.Store(tmp_path)
