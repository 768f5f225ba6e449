"""Suite "conv": `phasenet.networks.layers` against XLA's direct 3D convolution, forward and backward.

Rows are the layers of the published auto-encoder (value and both gradients), one 7^3 layer of the Patterson network,
and two training steps with Adam: of the published auto-encoder, and of eight 7^3 layers of 20 channels at 20^3.
GFLOP/s count the multiplications and additions of the direct convolution, for a step three times those of the forward
pass; the floor is their time as a matrix product. Convolutions by FFT need far fewer operations and have no floor.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from launch.benchmarks.timing import Row, compare
from phasenet.networks import layers
from saxsae.networks import autoencoder, losses

BATCH = 4
# name, grid, kernel, channels in, channels out, transposed with stride 2
LAYERS = [
    ("encoder 1->64, 3^3 at 32^3", 32, 3, 1, 64, False),
    ("encoder 64->64, 3^3 at 32^3", 32, 3, 64, 64, False),
    ("encoder 64->128, 3^3 at 16^3", 16, 3, 64, 128, False),
    ("encoder 128->128, 3^3 at 16^3", 16, 3, 128, 128, False),
    ("encoder 128->128, 3^3 at 8^3", 8, 3, 128, 128, False),
    ("decoder 32->64, 5^3 transposed to 16^3", 8, 5, 32, 64, True),
    ("decoder 64->128, 5^3 transposed to 32^3", 16, 5, 64, 128, True),
    ("decoder 128->1, 3^3 at 32^3", 32, 3, 128, 1, False),
    ("patterson 20->20, 7^3 at 20^3", 20, 7, 20, 20, False),
]
# How often each of the layers above occurs in the auto-encoder.
_REPEATS = (1, 1, 1, 1, 3, 1, 1, 1)
LATENT = 200  # numbers of the auto-encoder's code


class EightLayers(nn.Module):
    """Eight 7^3 convolutions of 20 channels, most of the work of the published Patterson network.

    Attributes:
      lowering: how the convolutions are computed, see `phasenet.networks.layers`.
    """

    lowering: str = "auto"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the output of all layers; both arrays are (B, N, N, N, 20)."""
        for _ in range(8):
            x = nn.relu(layers.Conv3D(20, 7, lowering=self.lowering)(x))
        return x


def run(report: Callable[[Row], None]) -> dict[str, Any]:
    """Measures all layers and both training steps.

    Args:
      report: receives each row as soon as it is measured.

    Returns:
      GFLOP/s of both steps, of ours and of the direct method, and the ratios.
    """
    for layer in LAYERS:
        report(_layer(*layer))
    steps = {"autoencoder_step": _autoencoder_step, "eight_layers_step": _eight_layers_step}
    summary: dict[str, float | None] = {}
    for name, measure in steps.items():
        row = measure()
        report(row)
        summary |= {f"{name}_gflops": row.gflops, f"{name}_direct_gflops": row.peer_gflops,
                    f"{name}_ratio": row.ratio}
    return summary


def autoencoder_multiplications(latent_size: int) -> int:
    """Returns the number of multiplications in the published auto-encoder's forward pass of one map."""
    convolutions = sum(count * _multiplications(*row[1:5]) for count, row in zip(_REPEATS, LAYERS, strict=False))
    return convolutions + 8**3 * 128 * latent_size + latent_size * 8**3 * 32


def _multiplications(grid: int, taps: int, features_in: int, features_out: int) -> int:
    """Returns the number of multiplications in one direct convolution of a map of grid^3 with a kernel of taps^3."""
    return grid**3 * taps**3 * features_in * features_out


def _layer(name: str, grid: int, taps: int, features_in: int, features_out: int, transposed: bool) -> Row:
    """Measures value and both gradients of one layer, a row of `LAYERS`."""
    random = np.random.default_rng(0)
    x = jnp.asarray(random.standard_normal((BATCH, grid, grid, grid, features_in), np.float32))
    kernel = jnp.asarray(random.standard_normal((*(taps,) * 3, features_in, features_out), np.float32))
    size = 2 * grid if transposed else grid
    weights = jnp.asarray(random.standard_normal((BATCH, size, size, size, features_out), np.float32))
    layer = layers.conv_transpose3d if transposed else layers.conv3d

    def function(lowering):
        def value_and_gradients(x, kernel, weights):
            y, pull = jax.vjp(lambda x, kernel: layer(x, kernel, lowering=lowering), x, kernel)
            return y, pull(weights)
        return value_and_gradients

    flops = 3 * 2 * BATCH * _multiplications(grid, taps, features_in, features_out)
    return _compare(name, function, (x, kernel, weights), flops, seconds=4)


def _autoencoder_step() -> Row:
    """Measures a training step of the published auto-encoder."""
    maps = np.random.default_rng(0).random((BATCH, 32, 32, 32)) > 0.8
    networks = {lowering: autoencoder.make_autoencoder("published", LATENT, lowering)
                for lowering in ("auto", "direct")}

    def loss(lowering, params, occupancy):
        network = networks[lowering]
        return losses.cross_entropy(network.decode(params, network.encode(params, occupancy)), occupancy)

    return _step("published auto-encoder, training step", networks["auto"].init, loss,
                 jnp.asarray(maps, jnp.float32), 3 * 2 * BATCH * autoencoder_multiplications(LATENT))


def _eight_layers_step() -> Row:
    """Measures a training step of `EightLayers`."""
    x = jnp.asarray(np.random.default_rng(0).standard_normal((BATCH, 20, 20, 20, 20), np.float32))

    def loss(lowering, params, x):
        return jnp.mean(EightLayers(lowering).apply(params, x) ** 2)

    return _step("eight 7^3 layers of 20 at 20^3, training step",
                 lambda key: EightLayers().init(key, x[:1]), loss, x,
                 3 * 2 * BATCH * 8 * _multiplications(20, 7, 20, 20))


def _step(name: str, init: Callable[[jax.Array], Any], loss: Callable[[str, Any, jax.Array], jax.Array],
          batch: jax.Array, flops: float) -> Row:
    """Measures a step of Adam on `loss(lowering, params, batch)`, with the parameters `init(key)`."""
    optimizer = optax.adam(1e-3)
    params = jax.jit(init)(jax.random.key(0))

    def function(lowering):
        def step(params, state, batch):
            gradient = jax.grad(lambda params: loss(lowering, params, batch))(params)
            updates, state = optimizer.update(gradient, state, params)
            return optax.apply_updates(params, updates), state
        return step

    return _compare(name, function, (params, optimizer.init(params), batch), flops, seconds=15)


def _compare(name: str, function: Callable[[str], Callable[..., Any]], arguments: tuple[Any, ...], flops: float,
             seconds: float) -> Row:
    """Compiles `function(lowering)` for "auto" and "direct" and times both in turn on the same arguments."""
    ours, direct = (jax.jit(function(lowering)).lower(*arguments).compile()
                    for lowering in ("auto", "direct"))
    # The largest difference is part of the row: times are comparable only where both results agree.
    deviation = max(jax.tree.leaves(jax.tree.map(_deviation, ours(*arguments), direct(*arguments))))
    row = compare(
        name, "direct", lambda: ours(*arguments), lambda: direct(*arguments), flops=flops,
        seconds=seconds, batch=BATCH, deviation=deviation)
    return row._replace(floor_seconds=None) if " fft(" in (ours.as_text() or "") else row


def _deviation(ours: jax.Array, direct: jax.Array) -> float:
    """Returns the largest difference, relative to the largest value of the direct method."""
    return float(jnp.max(jnp.abs(ours - direct)) / jnp.maximum(jnp.max(jnp.abs(direct)), 1e-30))
