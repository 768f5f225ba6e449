"""Makes the optimizer and the learning-rate schedule that config.optimizer describes."""

from typing import Any

import jax
import optax
import optax.contrib

from launch.training.state import PyTree
from phasenet.errors import InputError

_ADAMS_RMS = 0.2  # root mean square of muon's updates at a rate of 1: about Adam's, so that rates can be compared


def make_schedule(config: Any) -> optax.Schedule:
    """Returns the learning rate as a function of the step: a linear warm-up, then a constant or a cosine.

    Args:
      config: see launch/training/defaults.py.

    Raises:
      InputError: the schedule is unknown, or the warm-up leaves no step for the cosine.
    """
    opt = config.optimizer
    steps = (opt.decay_steps or config.num_steps) - opt.warmup_steps  # after the warm-up
    if opt.schedule == "constant":
        after = optax.constant_schedule(opt.learning_rate)
    elif opt.schedule == "cosine" and steps > 0:
        after = optax.cosine_decay_schedule(opt.learning_rate, steps, opt.final_fraction)
    elif opt.schedule == "cosine":
        raise InputError(f"config.optimizer.warmup_steps={opt.warmup_steps}: expected fewer steps than "
                         f"those at which the cosine ends, {steps + opt.warmup_steps}")
    else:
        raise InputError(
            f"config.optimizer.schedule={opt.schedule!r}: expected 'constant' or 'cosine'")
    if not opt.warmup_steps:
        return after
    rise = optax.linear_schedule(0.0, opt.learning_rate, opt.warmup_steps)
    return optax.join_schedules([rise, after], [opt.warmup_steps])


def make_optimizer(config: Any, trainable: PyTree) -> optax.GradientTransformation:
    """Returns the gradient transformation of a training.

    Args:
      config: see launch/training/defaults.py.
      trainable: pytree of bools, one for each parameter array. Arrays with False get no moments and no weight decay.

    Raises:
      InputError: the optimizer is unknown, or the config asks for weight decay with an optimizer other than adamw.
    """
    opt = config.optimizer
    rate = make_schedule(config)
    if opt.weight_decay and opt.name != "adamw":
        raise InputError(f"config.optimizer.weight_decay={opt.weight_decay} needs "
                         f"config.optimizer.name='adamw', not {opt.name!r}")
    if opt.name == "adam":
        rule = optax.adam(rate, b1=opt.b1, b2=opt.b2, eps=opt.eps)
    elif opt.name == "adamw":
        rule = optax.adamw(
            rate, b1=opt.b1, b2=opt.b2, eps=opt.eps, weight_decay=opt.weight_decay,
            mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params))
    elif opt.name == "sgd":
        rule = optax.sgd(rate, momentum=opt.b1 or None)
    elif opt.name == "muon":
        rule = optax.contrib.muon(
            rate, adam_b1=opt.b1, adam_b2=opt.b2, muon_weight_dimension_numbers=_matrices, consistent_rms=_ADAMS_RMS)
    else:
        raise InputError(
            f"config.optimizer.name={opt.name!r}: expected 'adam', 'adamw', 'sgd' or 'muon'")
    if opt.clip_norm:
        rule = optax.chain(optax.clip_by_global_norm(opt.clip_norm), rule)
    return rule if all(jax.tree.leaves(trainable)) else optax.masked(rule, trainable)


def _matrices(params: PyTree) -> PyTree:
    """Returns which arrays muon takes as matrices, from all inputs and taps to the outputs; None leaves one to Adam.

    A kernel with one input or one output channel is a vector.
    """
    def of_one(leaf: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        if leaf.ndim < 2 or min(leaf.shape[-2:]) < 2:
            return None
        return optax.contrib.MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), leaf.ndim - 1)

    return jax.tree.map(of_one, params)
