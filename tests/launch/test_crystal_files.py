"""The models beside the best one of an ambiguous crystal are files of SHELXL, and those of an earlier run go."""

import json

import gemmi
import numpy as np
import report_pages

from launch.crystals import files, report


def test_candidates_of_an_ambiguous_crystal_are_written_and_listed(tmp_path):
    result, _, structure = report_pages.crystal(tmp_path, "ambiguous")
    (tmp_path / "candidate_7.res").write_text("of an earlier run")
    others = report.make_candidates(structure, result)
    assert files.write_candidates(tmp_path, others) == ["candidate_2.res", "candidate_3.res"]
    assert sorted(path.name for path in tmp_path.glob("candidate_*")) == ["candidate_2.res", "candidate_3.res"]
    text = (tmp_path / "candidate_3.res").read_text()
    assert text.startswith("TITL ") and ": ambiguous, 3" in text.splitlines()[0]
    assert len([line for line in text.splitlines() if " 11.0" in line]) == len(structure.elements)
    listed = json.loads((tmp_path / "log.json").read_text())["candidates"]
    assert [round(one["r1"] - structure.r1, 6) for one in listed] == [0.01, 0.02]
    np.testing.assert_allclose(listed[1]["positions"], structure.positions + 0.02, atol=1e-6)
    assert all(0 <= one["fraction_bonded"] <= 1 for one in listed)
    assert all(gemmi.Element(name).atomic_number > 1 for name in listed[0]["elements"])


def test_other_crystals_have_no_candidates(tmp_path):
    for status in ("solved", "not solved"):
        result, _, structure = report_pages.crystal(tmp_path, status)
        assert files.write_candidates(tmp_path, report.make_candidates(structure, result)) == []
