"""The networks in PyTorch are ours: suites train_phasenet and train_saxsae, tiny and untimed."""

import jax
import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch comes with the benchmark extra")

from launch.benchmarks import torch_peer, training
from launch.benchmarks.suites import train_phasenet, train_saxsae
from phasenet.networks import layers, published

SMALL = published.ConvolutionalArchitecture(features=4, inner_kernel=5, inner_layers=2)


def test_the_patterson_network_and_a_step_of_it():
    rows = []
    shares = training.measure(train_phasenet.job(2, 8, SMALL), rows.append, seconds=0)
    assert set(shares) == {"forward", "step"} and min(shares.values()) > 0
    assert [row.id.split(", ")[1] for row in rows] == ["forward", "training step"]
    assert rows[0].details["deviation"] < 1e-5 and rows[0].details["memory_format"] in torch_peer.FORMATS
    assert rows[1].flops == 3 * rows[0].flops


def test_multiplications_are_those_of_the_layers(monkeypatch):
    counted = []

    def counting(x, kernel, lowering="auto"):
        counted.append(np.prod(x.shape[1:4]) * np.prod(kernel.shape))
        return np.zeros((*x.shape[:-1], kernel.shape[-1]), np.float32)

    monkeypatch.setattr(layers, "conv3d", counting)
    monkeypatch.setattr(layers, "conv3d_of_upsampled", lambda x, *rest, **more: counting(layers.upsample(x), *rest))
    network = published.PattersonNetwork(SMALL)
    maps = np.zeros((1, 8, 8, 8), np.float32)
    params = jax.eval_shape(network.init, jax.random.key(0), maps)
    counted.clear()
    network.apply(jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), params), maps)
    assert sum(counted) == train_phasenet.multiplications(SMALL, 8)


def test_the_lean_auto_encoder():
    rows = []
    training.measure(train_saxsae.job("lean", 2), rows.append, seconds=0)
    assert rows[0].details["deviation"] < 1e-5 and rows[1].ratio > 0


def test_the_published_auto_encoder_is_mirrored():
    job = train_saxsae.job("published", 1)
    params = jax.jit(job.init)(jax.random.key(0))
    ours = np.asarray(jax.jit(job.apply)(params, job.x))
    theirs = job.output(job.peer(params, "contiguous").forward().numpy())
    np.testing.assert_allclose(theirs, ours, atol=1e-5 * np.abs(ours).max())


def test_other_networks_are_found_out():
    job = train_phasenet.job(1, 8, SMALL)
    other = train_phasenet.job(1, 8, SMALL)._replace(apply=lambda params, x: 1.01 * job.apply(params, x))
    with pytest.raises(AssertionError, match="PyTorch computes something else"):
        training.measure(other, lambda row: None, seconds=0)
