"""The same launch twice: the same files."""

import json
import pathlib


def assert_same_files(first: pathlib.Path, second: pathlib.Path) -> None:
    """Byte for byte, but for what the clock wrote, which log.json holds in one place.

    The revision of the code may differ as well: who develops may commit between the two.
    """
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    logs = [json.loads((folder / "log.json").read_text()) for folder in (first, second)]
    revisions = [log.pop("revision") for log in logs]
    assert all(log.pop("timing")["wall_seconds"] > 0 for log in logs)
    assert logs[0] == logs[1]
    for name in set(names) - {"log.json"}:
        contents = [(folder / name).read_bytes().replace(revision.encode(), b"")
                    for folder, revision in zip((first, second), revisions, strict=True)]
        assert contents[0] == contents[1], name
