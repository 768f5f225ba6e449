"""Shared fixtures: where the optional collection of measured data lies, if it lies anywhere."""

import os
import pathlib

# Two CPU devices, so that every pmapped test really crosses devices. Must precede the first jax import.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")

import pytest  # noqa: E402

_DATA = pathlib.Path(os.environ.get(
    "PHASENET_DATA", pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data_dir() -> pathlib.Path:
    """The measured curves and structures beside the checkout; tests that need them skip without."""
    if not _DATA.is_dir():
        pytest.skip(f"no data collection at {_DATA} (set PHASENET_DATA)")
    return _DATA
