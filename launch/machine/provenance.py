"""Describes what a result depends on: code revision, package versions, flags and weights.

Every launch that writes a JSON result records it, so that the result can be reproduced.
"""

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


def describe_run() -> dict[str, Any]:
    """Returns "flags", "revision" and "versions"; runs that agree in all three agree in their result on one machine."""
    return {"flags": launch_flags(), **describe_code()}


def describe_code() -> dict[str, Any]:
    """Returns "revision", as `revision` gives it, and "versions", as `versions` gives them."""
    return {"revision": revision(), "versions": versions()}


def revision() -> str:
    """Returns the git revision of the code, with "-dirty" where tracked files differ from it, or "unknown"."""
    if not (_ROOT / ".git").exists():  # an installed package; git would describe a repository around the installation
        return "unknown"
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(describe, cwd=_ROOT, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return "unknown"
    return done.stdout.strip() or "unknown"


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that results depend on, by name."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def launch_flags() -> dict[str, Any]:
    """Returns the values of all flags that the launch itself defines, by name, defaults included."""
    own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    return {flag.name: flag.value for flag in sorted(own, key=lambda flag: flag.name)}


def describe_weights(name: str, folder: pathlib.Path, info: dict[str, Any]) -> dict[str, Any]:
    """Returns what a result records of its weights.

    Args:
      name: the weights as the user named them.
      folder: the folder of the weights.
      info: the content of config.json.

    Returns:
      "name", "sha256" (see `weights_digest`) and the fields of `info`.
    """
    return {"name": name, "sha256": weights_digest(folder), **info}


def weights_digest(folder: pathlib.Path) -> str:
    """Returns the SHA-256 digest, in hexadecimal, of config.json and all .npz files of a folder, names included."""
    digest = hashlib.sha256()
    for path in sorted([folder / "config.json", *folder.glob("*.npz")]):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
