"""A training that is killed ends as if it had not been: the short form of kill_training.py."""

from tests.faults import kill_training


def test_a_training_survives(tmp_path):
    counts = kill_training.survive("toy", tmp_path, kills=3, seed=0)
    assert counts["kills"] == 3 and counts["in a write"] == 1
    assert sum(counts[f"writes cut short ({what})"] for what in ("temporary folder", "no seal")) >= 1
