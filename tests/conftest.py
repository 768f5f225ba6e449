"""What all tests share: two CPU devices, compiled programs, --quick, the collection of measured data, small shapes."""

import importlib.metadata
import os
import pathlib
import tempfile

# Two CPU devices, so that every pmapped test really crosses devices; must precede the first jax import. On another
# backend: JAX_PLATFORMS=cuda tests/run.
_xla_flags = "--xla_force_host_platform_device_count=2"
if os.environ.setdefault("JAX_PLATFORMS", "cpu") == "cpu":
    # XLA's compiling takes most of the tests' time, so most optimizations are off. The flag is given only to versions
    # that are known to have it, because XLA ends a process with an unknown one.
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        _xla_flags += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", _xla_flags)
# The tests compile the same programs again and again; those who work side by side, and the launches, inherit the place.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _PROGRAMS = tempfile.TemporaryDirectory(prefix="phasenet-saxsae-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _PROGRAMS.name
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # launch/app.py says why

import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

_DATA = pathlib.Path(os.environ.get(
    "PHASENET_DATA", pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"))


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true",
                     help="only the tests of the numerical cores that take seconds: none of launch/, none marked slow")


def pytest_ignore_collect(collection_path, config):
    """Leaves launch/ and faults/ aside; None lets pytest decide."""
    here = pathlib.Path(__file__).parent
    slow = any(collection_path.is_relative_to(here / folder) for folder in ("launch", "faults"))
    return True if config.getoption("--quick") and slow else None


def pytest_collection_modifyitems(config, items):
    """Leaves aside what is marked slow."""
    if config.getoption("--quick"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session")
def data_dir() -> pathlib.Path:
    """The measured curves and structures beside the checkout; tests that need them skip without."""
    if not _DATA.is_dir():
        pytest.skip(f"no data collection at {_DATA} (set PHASENET_DATA)")
    return _DATA


@pytest.fixture(scope="session")
def awkward_curves(data_dir: pathlib.Path) -> pathlib.Path:
    """Awkward curves beside the data; tests that need them skip without."""
    folder = data_dir.parent / "cases" / "saxs"
    if not folder.is_dir():
        pytest.skip(f"no collection of awkward curves at {folder}")
    return folder


@pytest.fixture(scope="session")
def lobed_maps() -> np.ndarray:
    """Binary (24, 31, 31, 31) float32: unions of two ellipsoids about the centre, all within the unit sphere."""
    rng = np.random.default_rng(0)
    axis = np.arange(31) - 15.0
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    maps = []
    for _ in range(24):
        parts = []
        for side in (-1, 1):
            centre = side * rng.uniform(2, 5) * np.array([1, 0, 0]) + rng.normal(size=3)
            parts.append((((grid - centre) / rng.uniform(3, 7, 3)) ** 2).sum(-1) <= 1)
        maps.append((parts[0] | parts[1]) & ((grid**2).sum(-1) <= 225))
    return np.array(maps, np.float32)


@pytest.fixture(scope="module", autouse=True)
def _programs(request):
    """Turns XLA's optimizations on for a file that is marked `optimized`, and drops a file's programs at its end.

    Each program holds some ten memory maps. A process may have 65,530 of them on Linux; beyond, XLA's compiler crashes.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("optimized"):
            patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "0")  # launches inherit it
            jax.config.update("jax_disable_most_optimizations", False)
        yield
    jax.config.update("jax_disable_most_optimizations", before)
    jax.clear_caches()
