"""The same launch twice: the same files."""

import json
import pathlib


def assert_same_files(first: pathlib.Path, second: pathlib.Path) -> None:
    """Byte for byte, but for what the clock wrote, which log.json holds in one place."""
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    for name in names:
        if name == "log.json":
            logs = [json.loads((folder / name).read_text()) for folder in (first, second)]
            assert all(log.pop("timing")["wall_seconds"] > 0 for log in logs)
            assert all(log.pop("revision") for log in logs)  # who develops may commit between the two
            assert logs[0] == logs[1]
        else:
            assert (first / name).read_bytes() == (second / name).read_bytes(), name
