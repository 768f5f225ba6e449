"""The optimizer from config.optimizer, touching only what is trainable."""

from typing import Any

import jax
import optax

from phasenet.errors import InputError


def make_schedule(config: Any) -> optax.Schedule:
    """Learning rate by step: linear warm-up, then constant or cosine."""
    opt = config.optimizer
    end = opt.decay_steps or config.num_steps
    if opt.warmup_steps >= end and opt.schedule == "cosine":
        raise InputError(f"config.optimizer.warmup_steps={opt.warmup_steps} leaves no step of {end} for the cosine")
    if opt.schedule == "constant":
        after = optax.constant_schedule(opt.learning_rate)
    elif opt.schedule == "cosine":
        after = optax.cosine_decay_schedule(opt.learning_rate, end - opt.warmup_steps, opt.final_fraction)
    else:
        raise InputError(f"config.optimizer.schedule={opt.schedule!r}: expected 'constant' or 'cosine'")
    if not opt.warmup_steps:
        return after
    rise = optax.linear_schedule(0.0, opt.learning_rate, opt.warmup_steps)
    return optax.join_schedules([rise, after], [opt.warmup_steps])


def make_optimizer(config: Any, trainable: Any) -> optax.GradientTransformation:
    """The gradient transformation; leaves with a False in `trainable` have no moments and no decay."""
    opt = config.optimizer
    rate = make_schedule(config)
    if opt.name == "adam":
        rule = optax.adam(rate, b1=opt.b1, b2=opt.b2, eps=opt.eps)
    elif opt.name == "adamw":
        rule = optax.adamw(rate, b1=opt.b1, b2=opt.b2, eps=opt.eps, weight_decay=opt.weight_decay,
                           mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params))
    elif opt.name == "sgd":
        rule = optax.sgd(rate, momentum=opt.b1 or None)
    else:
        raise InputError(f"config.optimizer.name={opt.name!r}: expected 'adam', 'adamw' or 'sgd'")
    if opt.weight_decay and opt.name != "adamw":
        raise InputError(f"config.optimizer.weight_decay={opt.weight_decay} needs config.optimizer.name='adamw'")
    if opt.clip_norm:
        rule = optax.chain(optax.clip_by_global_norm(opt.clip_norm), rule)
    if all(jax.tree.leaves(trainable)):
        return rule
    return optax.masked(rule, trainable)
