"""launch.reconstruct --symmetry: the row, the log, the page and the maps."""

import contextlib
import functools
import json
import re

import launched
import numpy as np
import pytest
from report_pages import payload_of
from scipy import ndimage
from test_reconstruct import EXAMPLE, ROOT

from launch.pages import scales
from launch.reconstruction import report
from launch.serving import commands
from phasenet.errors import InputError
from phasenet.io.ccp4 import read_map
from saxsae import reconstruction
from saxsae.superposition.point_groups import GROUP_NAMES, parse_group
from saxsae.symmetric_search import SymmetryEvidence

launch = functools.partial(launched.run_in_turn, "launch.reconstruct")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A short run of the shipped example."""
    folder = tmp_path_factory.mktemp("symmetry")
    finished = launch(f"--profile={EXAMPLE}", f"--output={folder}", "--symmetry=c3", "--generations=1",
                      "--num_models=2")
    assert finished.returncode == 0, finished.stderr
    assert "symmetry " in finished.stdout and "log evidence against it" in finished.stdout
    first, second = (finished.stdout.find(f"{name}: step   1/1") for name in ("symmetry C3", "without symmetry"))
    assert 0 < first < second
    return folder


def test_the_log_and_the_page_compare_with_no_symmetry(folder):
    log = json.loads((folder / "log.json").read_text())
    assert log["symmetry"].keys() == set(SymmetryEvidence._fields) and log["symmetry"]["name"] == "C3"
    assert log["flags"]["symmetry"] == "C3"
    rows = {row[0]: row for row in payload_of((folder / "report.html").read_text(encoding="utf-8"))["rows"]}
    assert rows["symmetry"][1] == "C3" and "without" in rows["symmetry"][2]


def test_the_axis_is_z_of_the_map(folder):
    density = read_map(folder / "density.ccp4").density
    turned = ndimage.rotate(density, 120, axes=(0, 1), reshape=False, order=1)
    assert np.corrcoef(density.ravel(), turned.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(("against", "bank_misfit", "words"), [
    (0.4, 0.2, "allows it and does not show it"), (-0.4, 0.2, "allows it and does not show it"),
    (8.0, 0.2, "speaks against it"), (-8.0, 0.2, "fits better with it"), (8.0, 3.0, "says little")])
def test_the_evidence_is_put_into_words(against, bank_misfit, words):
    name, value, remark = report.describe_symmetry(SymmetryEvidence("D2", 1.1, 1.0, 0.2, 0.1, against), bank_misfit)
    assert (name, value) == ("symmetry", "D2") and words in remark and f"{against:+.1f}" in remark
    assert name in scales.SCALES


def test_a_worse_fit_speaks_against_a_symmetry_whatever_the_evidence():
    for bank_misfit in (0.2, 3.0):
        assert "speaks against it" in report.describe_symmetry(
            SymmetryEvidence("C6", 1.66, 0.88, 0.2, 0.1, 0.7), bank_misfit)[2]


def test_flag_page_and_package_know_the_same_groups():
    names = [f"{kind}{fold}" for kind in "CDTO" for fold in range(14)]
    known = set()
    for name in names:
        with contextlib.suppress(InputError):
            known.add(parse_group(name).name)
    page = commands.FIELDS["curve"]["symmetry"].pattern
    assert known == {name for name in names if re.fullmatch(page, name)} == set(GROUP_NAMES)
    listed = re.search(r"--symmetry:\s*<([^>]*)>", launched.run("launch.reconstruct", "--help").stdout)
    assert known == set(re.sub(r"\s", "", listed[1]).split("|"))


def test_the_page_and_the_package_describe_the_groups_that_there_are():
    ends = [[name for name in GROUP_NAMES if name[0] == kind] for kind in "CD"]
    words = " or ".join(f"{names[0]} to {names[-1]}" for names in ends)
    hint = (ROOT / "launch" / "serving" / "static" / "curve.html").read_text(encoding="utf-8")
    assert words == "C2 to C12 or D2 to D6" and words in hint and words in reconstruction.reconstruct.__doc__
