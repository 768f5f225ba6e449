"""Makes the shipped example phasenet/examples/made_crystal: a crystal of known atoms, measured as SHELX reads it.

    python -m launch.datasets.make_crystal_example [--output=phasenet/examples] [--seed=18]

`phasenet.crystal.made` grows an invented molecule in P 1 21/c 1. Three files are written:

    made_crystal.hkl  intensities with noise (HKLF 4); hydrogen atoms scatter too
    made_crystal.ins  unit cell, symmetry and contents
    made_crystal.csv  the true atoms, without hydrogen

The intensities are calculated from the rounded positions of the table.
"""

import pathlib

import numpy as np
from absl import flags

from launch import app

_OUTPUT = flags.DEFINE_string("output", "phasenet/examples", "Folder to write made_crystal.hkl, .ins and .csv to.")
_SEED = flags.DEFINE_integer("seed", 18, "Seed of the atoms and the noise.", lower_bound=0)

NAME = "made_crystal"
SPACE_GROUP = "P 1 21/c 1"
_VOLUMES = (1280.0, 1420.0)
_D_MIN, _NOISE, _BACKGROUND_NOISE = 0.9, 0.04, 0.006
_WAVELENGTH = 0.71073
_LARGEST_INTENSITY = 9000.0  # a field of the format holds 99999.99


def main(_: list[str]) -> None:
    """Writes the reflections, the instructions and the atoms."""
    # Not at the top of the file, because a mistyped flag should fail before these slow imports.
    from phasenet.crystal.made import crystals, measurement
    from phasenet.io.atomic_writes import replacing

    rng = np.random.default_rng(_SEED.value)
    crystal = crystals.draw_crystal(rng, _VOLUMES, (SPACE_GROUP,), "organic")
    crystal = crystal._replace(cell=np.round(crystal.cell, 3), positions=np.round(crystal.positions, 5),
                               b_iso=np.round(crystal.b_iso, 2), hydrogens=np.round(crystal.hydrogens, 5))
    # Not merged, so that there is something to merge.
    conditions = measurement.MeasurementConditions(
        "xray", _D_MIN, _NOISE, _BACKGROUND_NOISE, model_error=0.0, completeness=0.99, largest_d=15.0, missing_cone=0.0,
        cone_axis=np.array([0.0, 0.0, 1.0]), weakest=0.0, merged=False)
    measured = measurement.measure(rng, crystal, conditions)
    factor = _LARGEST_INTENSITY / measured.intensity.max()
    rows = [f"{h:4d}{k:4d}{l:4d}{intensity * factor:8.2f}{sigma * factor:8.2f}"
            for (h, k, l), intensity, sigma in zip(*measured, strict=True)]
    cell = " ".join(f"{value:g}" for value in crystal.cell)
    instructions = [f"TITL {NAME} in {SPACE_GROUP}", f"CELL {_WAVELENGTH} {cell}", "ZERR 4 0.001 0.001 0.001 0 0.01 0",
                    "LATT 1", "SYMM -X, 0.5+Y, 0.5-Z", f"SFAC {' '.join(crystal.composition)}",
                    f"UNIT {' '.join(f'{count:g}' for count in crystal.composition.values())}",
                    "REM An example made by python -m launch.datasets.make_crystal_example, no measurement.",
                    "HKLF 4", "END"]
    atoms = [f"{number},{element},{x:.5f},{y:.5f},{z:.5f},{b:.2f}" for number, (element, (x, y, z), b) in enumerate(
        zip(crystal.elements, crystal.positions, crystal.b_iso, strict=True), 1)]
    folder = app.prepare_folder(_OUTPUT.value)
    for ending, lines in {"hkl": [*rows, f"{0:4d}{0:4d}{0:4d}{0:8.2f}{0:8.2f}"], "ins": instructions,
                          "csv": ["atom,element,x,y,z,b_iso_angstrom2", *atoms]}.items():
        with replacing(folder / f"{NAME}.{ending}") as part:
            pathlib.Path(part).write_text("\n".join(lines) + "\n", encoding="ascii")
    app.print_line(f"wrote {folder / NAME}.hkl ({len(rows)} reflections), .ins and .csv ({len(atoms)} atoms)")


if __name__ == "__main__":
    app.run(main)
