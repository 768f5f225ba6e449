"""Draws two pictures of a reconstruction: chi^2 by generation, and the measured curve with the fit.

`launch.reconstruct` and figures 2a and 2b of the SAXS paper use these pictures.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from launch.plotting import style
from saxsae.profiles.guinier import GuinierFit


def plot_convergence(axes: Axes, best: np.ndarray, elites: np.ndarray | None = None,
                     correlation: tuple[np.ndarray, np.ndarray] | None = None,
                     correlation_of: str = "best of all runs", measure: str = "$\\chi^2$") -> None:
    """Draws chi^2 of each run by generation, the best run in front.

    Good: the line of the best run is level at the end, near 1. Bad: the line still falls, or is level above 2.

    Args:
      axes: receives the lines and the legend.
      best: (K, G) chi^2 of each run's best gene; NaN where the run had ended. The best run is first.
      elites: (K, G) mean chi^2 of each run's elites; only the line of the best run is drawn.
      correlation: generations (C,) and correlations (C,) with the reference, drawn on an axis at the right.
      correlation_of: name of the correlated model in the legend.
      measure: what `best` and `elites` are, such as the misfit with the model's error.
    """
    marker = "." if best.shape[1] == 1 else None  # of a single generation, a line shows nothing
    for number, series in enumerate(best[1:]):
        axes.plot(_finite(series), color=style.LIGHT, linewidth=1, marker=marker,
                  label=None if number else "other runs")
    if elites is not None:
        axes.plot(_finite(elites[0]), color=style.BLUE, linewidth=1, linestyle="--", marker=marker,
                  label="mean of the models (elites)")
    axes.plot(_finite(best[0]), color=style.BLUE, linewidth=1.8, marker=marker, label="best model")
    if (best > 0).any():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("generation or step")
    axes.set_ylabel(f"{measure} of the binned curve (good: about 1 or below)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    handles, labels = axes.get_legend_handles_labels()
    if correlation is not None:
        right = axes.twinx()
        right.spines["right"].set_visible(True)
        lines = right.plot(*correlation, color=style.RED, marker="o", markersize=3.5, linewidth=1.2)
        right.set_ylabel("correlation with the reference", color=style.RED)
        right.tick_params(axis="y", colors=style.RED)
        right.set_ylim(0, 1)
        handles, labels = [*handles, *lines], [*labels, f"correlation, {correlation_of}"]
    axes.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _finite(values: np.ndarray) -> np.ndarray:
    """Returns values with NaN in place of infinities, which have no place on an axis."""
    return np.where(np.isfinite(values), values, np.nan)


def plot_fit(figure: Figure, q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray, model: np.ndarray,
             chi_squared: float, guinier: GuinierFit, beyond: tuple[np.ndarray, np.ndarray] | None = None) -> Axes:
    """Draws the curve with its fit, the residuals below, and the Guinier line in a corner; returns the upper axes.

    Good: the residuals scatter evenly about 0, 19 of 20 between -2 and 2. Bad: long runs on one side of 0.
    The intensities have a logarithmic axis, on which those that are not positive are left out; if none of the measured
    ones is positive, the axis is linear.

    Args:
      figure: an empty figure.
      q: (N,) q of the fitted points, 1/A.
      intensity: (N,) measured intensity, in the file's unit.
      sigma: (N,) standard deviations of the intensity, in the same unit.
      model: (N,) fitted intensity, in the same unit.
      chi_squared: chi^2 of the fit, for the legend.
      guinier: Guinier fit of the curve; without a valid one there is no corner.
      beyond: q (M,), 1/A, and intensity (M,) of the points that were not fitted; they are drawn faintly.
    """
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    logarithmic = bool((intensity > 0).any())
    lowest = 0.0 if logarithmic else -np.inf
    positive = intensity > lowest
    seen = [intensity[positive], model[model > lowest]]
    if beyond is not None:
        near = (beyond[0] < 1.3 * q[-1]) & (beyond[1] > lowest)
        upper.plot(beyond[0][near], beyond[1][near], ".", color=style.LIGHT, markersize=2.5,
                   label="not fitted" if near.any() else None)
        seen.append(beyond[1][near])
    upper.errorbar(q[positive], intensity[positive], sigma[positive], fmt=".", color=style.GREY,
                   ecolor=style.LIGHT, markersize=2.5, elinewidth=0.7, label="measured")
    upper.plot(q, np.where(model > lowest, _finite(model), np.nan), color=style.RED, zorder=3,
               label=f"model, $\\chi^2$ = {chi_squared:.2f}")
    if logarithmic:
        upper.set_yscale("log")
        values = np.concatenate(seen)
        values = values[np.isfinite(values)]
        upper.set_ylim(0.6 * np.quantile(values, 0.01), 2 * values.max())
    upper.set_ylabel("I(q)")
    upper.legend(loc="lower left")
    residual = _finite((intensity - model) / sigma)
    lower.axhspan(-2, 2, color=style.LIGHT, alpha=0.35, linewidth=0)
    lower.axhline(0, color=style.RED, linewidth=1)
    lower.plot(q, residual, ".", color=style.GREY, markersize=2.5)
    known = np.abs(residual[np.isfinite(residual)])
    reach = max(3.5, 1.1 * np.quantile(known, 0.99)) if known.size else 3.5
    lower.set_ylim(-reach, reach)
    lower.set_xlabel(f"q ({style.INVERSE_ANGSTROM}); shaded: where 19 of 20 residuals lie if the model fits")
    lower.set_ylabel("residual / $\\sigma$")
    if guinier.valid:
        _draw_guinier_inset(upper, q, intensity, sigma, guinier)
    return upper


def _draw_guinier_inset(axes: Axes, q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray,
                        guinier: GuinierFit) -> None:
    """Draws ln I against q^2 with the Guinier line; nothing where fewer than three points lie near the region."""
    shown = (q <= 1.6 / guinier.rg_angstrom) & (intensity > 0)
    if shown.sum() < 3:
        return
    inset = axes.inset_axes((0.62, 0.6, 0.36, 0.37))
    x = q[shown] ** 2 * 1e3
    inset.errorbar(x, np.log(intensity[shown]), sigma[shown] / intensity[shown], fmt=".",
                   color=style.GREY, ecolor=style.LIGHT, markersize=2.5, elinewidth=0.7)
    ends = np.array([guinier.q_rg_min, guinier.q_rg_max]) / guinier.rg_angstrom
    inset.plot(ends**2 * 1e3, np.log(guinier.i0) - (ends * guinier.rg_angstrom) ** 2 / 3,
               color=style.BLUE, zorder=3)
    inset.set_title(f"Guinier: $R_g$ = {guinier.rg_angstrom:.1f} {style.ANGSTROM}", fontsize=8)
    inset.set_xlabel(f"$q^2$ ($10^{{-3}}$ {style.ANGSTROM}$^{{-2}}$)", fontsize=7, labelpad=1)
    inset.set_ylabel("ln I", fontsize=7, labelpad=1)
    inset.tick_params(labelsize=7)
