"""What a result hangs on, and therefore records: code, packages, flags and weights."""

import hashlib
import importlib.metadata
import pathlib
import platform
import subprocess
import sys
from typing import Any

from absl import flags

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PACKAGES = ("phasenet-saxsae", "jax", "jaxlib", "flax", "optax", "numpy", "gemmi")


def record() -> dict[str, Any]:
    """The flags of this launch, and the code. With the same ones a result is the same on the same machine."""
    return {"flags": launch_flags(), **code()}


def code() -> dict[str, Any]:
    """The revision and the versions."""
    return {"revision": revision(), "versions": versions()}


def revision() -> str:
    """The git revision of the code, with "-dirty" where files differ from it, or "unknown"."""
    if not (_ROOT / ".git").exists():  # installed; git might answer of a repository around that
        return "unknown"
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(describe, cwd=_ROOT, capture_output=True, text=True, check=False)
    except OSError:  # no git here
        return "unknown"
    return done.stdout.strip() or "unknown"


def versions() -> dict[str, str]:
    """Of Python and of the packages that numbers hang on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def launch_flags() -> dict[str, Any]:
    """Every flag that the launch itself defines, those left at their defaults included."""
    own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    return {flag.name: flag.value for flag in sorted(own, key=lambda flag: flag.name)}


def weights(name: str, folder: pathlib.Path, info: dict[str, Any]) -> dict[str, Any]:
    """Weights as a result names them: what was asked for, the digest, and config.json."""
    return {"name": name, "sha256": weights_digest(folder), **info}


def weights_digest(folder: pathlib.Path) -> str:
    """SHA-256 of a release: config.json and all arrays, their names included; scores beside them do not count."""
    digest = hashlib.sha256()
    for path in sorted([folder / "config.json", *folder.glob("*.npz")]):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
