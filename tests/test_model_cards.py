"""Each released set of weights has a card, and the card names the files as they are."""

import hashlib
import pathlib

import pytest

from launch.machine import provenance

ROOT = pathlib.Path(__file__).resolve().parents[1]
RELEASES = sorted(path.parent for path in ROOT.glob("*/weights/*/config.json"))


@pytest.mark.parametrize("folder", RELEASES, ids=lambda folder: folder.name)
def test_a_card_names_its_files_their_digests_and_what_a_user_must_know(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    for path in (folder / "config.json", *folder.glob("*.npz")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert f"| `{path.name}` | {path.stat().st_size:,} | `{digest}` |" in card
    assert provenance.weights_digest(folder) in card
    for part in ("What for", "Trained on", "Scores", "Limits", "Licence"):
        assert f"**{part}" in card, part
