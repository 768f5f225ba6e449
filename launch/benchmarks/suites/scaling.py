"""Suite "scaling": how the cost grows with the grid, the atoms, the population and the number of curves.

Each size (the "peer") is timed in turn with the smallest of its family ("ours"), so the ratio is the relative cost;
`--plot=FILE` draws it. The exponent is the slope of log time against log size.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from launch.benchmarks.suites.genetic import Generation
from launch.benchmarks.timing import Row, compare
from phasenet.maps import patterson, synthesis
from phasenet.maps.atoms import AtomRules, draw_atoms
from saxsae import genetic, pretrained

BATCH = 16
GRIDS = (32, 40, 48, 64)
ATOMS = (10, 20, 40, 80)
POPULATIONS = (100, 300, 1000, 3000)
CURVES = (1, 4, 8, 32)
_GENES_A_CURVE = 30
_SECONDS = 2.0  # about how long each size is timed

Program = Callable[[], Any]  # runs a compiled program on its own inputs


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Measures all families of sizes and returns their exponents by name.

    Args:
      report: receives each row as soon as it is measured.
    """
    released = pretrained.load()
    families = {
        "grid_patterson": (GRIDS, patterson_maps),
        "grid_synthesis": (GRIDS, lambda grid: examples(10, grid)),
        "atoms_drawn": (ATOMS, drawn_atoms),
        "atoms_maps": (ATOMS, lambda atoms: atom_maps(atoms, 40)),
        "population": (POPULATIONS, lambda size: generations(released, size, 1)),
        "curves": (CURVES, lambda curves: generations(released, _GENES_A_CURVE, curves)),
    }
    return {name: exponent(name, sizes, make, report) for name, (sizes, make) in families.items()}


def exponent(name: str, sizes: Sequence[int], make: Callable[[int], Program], report: Callable[[Row], None],
             seconds: float = _SECONDS) -> float:
    """Measures one family and returns the exponent of its cost.

    Args:
      name: name of the family.
      sizes: the sizes, the smallest first.
      make: returns the compiled program of a size.
      report: receives each row as soon as it is measured.
      seconds: about how many seconds each size is timed.
    """
    smallest, times = make(sizes[0]), [1.0]
    for size in sizes[1:]:
        row = compare(f"{name}, {size} beside {sizes[0]}", str(size), smallest, make(size), seconds=seconds,
                      family=name, size=size, smallest=sizes[0])
        report(row)
        times.append(row.ratio)
    return slope(sizes, times)


def slope(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Returns the least-squares slope of log(times) against log(sizes)."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def patterson_maps(grid: int, batch: int = BATCH) -> Program:
    """Returns the program that turns densities (batch, grid, grid, grid) into Patterson maps."""
    densities = np.random.default_rng(0).random((batch, *(grid,) * 3), np.float32)
    return _compiled(jax.vmap(patterson.patterson), densities)


def examples(atoms: int, grid: int, batch: int = BATCH) -> Program:
    """Returns the program that makes whole training examples, drawing of the atoms included."""
    problem = synthesis.Problem(_rules(atoms), grid)
    return _compiled(jax.vmap(lambda key: synthesis.make_example(key, problem)), _keys(batch))


def drawn_atoms(atoms: int, batch: int = 16 * BATCH) -> Program:
    """Returns the program that draws atoms, at the density of the paper's problem.

    Centred atoms may lie outside the box, because 80 atoms would hardly ever all stay inside.
    """
    rules = _rules(atoms)._replace(stay_inside=False)
    return _compiled(jax.vmap(lambda key: draw_atoms(key, rules)), _keys(batch))


def atom_maps(atoms: int, grid: int, batch: int = BATCH) -> Program:
    """Returns the program that turns positions (batch, atoms, 3), voxels, into network inputs and targets."""
    problem = synthesis.Problem(grid=grid)
    places = np.random.default_rng(0).uniform(-6, 6, (batch, atoms, 3)).astype(np.float32)

    def maps(positions: jax.Array) -> tuple[jax.Array, jax.Array]:
        measured = synthesis.simulate_patterson(jax.random.key(0), positions, problem)
        return synthesis.network_input(measured, problem), synthesis.network_target(positions, problem)

    return _compiled(jax.vmap(maps), places)


def generations(released: pretrained.Pretrained, population: int, curves: int) -> Program:
    """Returns the program of one generation of the genetic algorithm, for several curves at once.

    Args:
      released: network, parameters and bank of latent codes.
      population: genes for each curve.
      curves: number of curves, each with a run of its own.
    """
    settings = genetic.EvolutionSettings(population=population, elites=min(20, population // 3))
    generation = Generation(released, settings)
    key, state, prior, params, curve = generation.inputs["generation"]
    runs = jax.vmap(generation.generation, in_axes=(0, 0, None, None, 0))
    states = jax.tree.map(lambda a: jnp.stack([a] * curves), state)
    return _compiled(runs, jax.random.split(key, curves), states, prior, params, jnp.stack([curve] * curves))


def _rules(atoms: int) -> AtomRules:
    """Returns rules for `atoms` atoms at the density of 10 atoms in a box of 12 voxels."""
    return AtomRules(atoms, 12.0 * (atoms / 10) ** (1 / 3))


def _keys(batch: int) -> jax.Array:
    """Returns random keys (batch,)."""
    return jax.random.split(jax.random.key(0), batch)


def _compiled(function: Callable[..., Any], *arguments: Any) -> Program:
    """Returns the function compiled for its arguments, run once."""
    arguments = jax.tree.map(jnp.asarray, arguments)
    program = jax.jit(function).lower(*arguments).compile()
    jax.block_until_ready(program(*arguments))
    return lambda: program(*arguments)
