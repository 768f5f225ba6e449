"""Describes a machine for a bug report: code, packages, devices, settings, environment, cache of compiled programs."""

import os
import pathlib
import platform
import re
from typing import Any

import jax

from launch.machine import provenance

_VARIABLES = re.compile(r"(JAX|XLA|TF_CPP|TF_XLA|CUDA|NVIDIA|TPU|OMP|LD_|PYTHON)")
_SETTINGS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_threefry_partitionable",
             "jax_num_cpu_devices")


def describe(cache: pathlib.Path | None) -> dict[str, Any]:
    """Returns the description of this machine by name; the values can be written as JSON.

    Args:
      cache: the folder of compiled programs; None without one.
    """
    return {
        **provenance.describe_code(), "platform": platform.platform(), "processor": _processor(), "cores": _cores(),
        "devices": _devices(), "settings": {name: getattr(jax.config, name, "unknown") for name in _SETTINGS},
        "variables": {name: value for name, value in sorted(os.environ.items()) if _VARIABLES.match(name)},
        "cache": _cache(cache)}


def format_description(machine: dict[str, Any]) -> list[str]:
    """Returns the printed lines of a description made by `describe`, one for each name."""
    width = max(map(len, machine))
    return [f"{name:<{width}}  {_text(value)}" for name, value in machine.items()]


def _text(value: Any) -> str:
    """Returns a value as text; a dictionary as its names and items on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items()) or "none"
    return str(value)


def _processor() -> str:
    """Returns the processor's name as Linux gives it, on other systems as Python does."""
    try:
        found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _cores() -> str:
    """Returns how many of the machine's cores this process may use."""
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{ours} of {os.cpu_count()}"


def _devices() -> str:
    """Returns number and kind of the devices, and the driver's version as XLA gives it."""
    devices = jax.devices()
    driver = " ".join(str(devices[0].client.platform_version).split())
    where = f", {jax.local_device_count()} of them here" if jax.process_count() > 1 else ""
    return f"{len(devices)} {devices[0].platform} ({devices[0].device_kind}; {driver}){where}"


def _cache(folder: pathlib.Path | None) -> str:
    """Returns the folder of compiled programs, their number and their size."""
    if folder is None:
        return "none"
    sizes = [path.stat().st_size for path in folder.glob("*-cache")]
    return f"{folder}: {len(sizes)} programs, {sum(sizes) / 1e6:.0f} MB"
