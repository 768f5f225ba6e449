"""How runs of the genetic algorithm came down, and how well the best model fits the curve."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from launch.plotting import style


def convergence(axes: Axes, best: np.ndarray, elites: np.ndarray | None = None,
                correlation: tuple[np.ndarray, np.ndarray] | None = None,
                correlation_of: str = "best of all runs") -> None:
    """chi^2 of each run by generation, the best run in front.

    Args:
        best: (K, G) chi^2 of the best gene, NaN where not reached, the best run first.
        elites: (K, G) mean chi^2 of the elites, drawn for the best run.
        correlation: generations (C,) and correlations (C,) on an axis of their own, and whose they are.
    """
    for number, series in enumerate(best[1:]):
        axes.plot(series, color=style.LIGHT, linewidth=1, label=None if number else "other runs")
    if elites is not None:
        axes.plot(elites[0], color=style.BLUE, linewidth=1, linestyle="--",
                  label="best run, mean of the elites")
    axes.plot(best[0], color=style.BLUE, linewidth=1.8, label="best run, best model")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("generation")
    axes.set_ylabel("$\\chi^2$ of the binned curve")
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


def fit(figure: Figure, q: np.ndarray, intensity: np.ndarray, sigma: np.ndarray, model: np.ndarray,
        chi_squared: float, guinier, beyond: tuple[np.ndarray, np.ndarray] | None = None) -> Axes:
    """The curve with its fit, the residuals below, the Guinier line in a corner.

    Args:
        q: (N,) 1/A; intensity, sigma, model: (N,), the points that were fitted.
        guinier: ``saxsae.profiles.guinier.Guinier`` of the curve.
        beyond: q and intensity of the points left out, drawn faintly.
    """
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    positive = intensity > 0
    seen = [intensity[positive], model[model > 0]]
    if beyond is not None:
        near = (beyond[0] < 1.3 * q[-1]) & (beyond[1] > 0)
        upper.plot(beyond[0][near], beyond[1][near], ".", color=style.LIGHT, markersize=2.5,
                   label="not fitted" if near.any() else None)
        seen.append(beyond[1][near])
    upper.errorbar(q[positive], intensity[positive], sigma[positive], fmt=".", color=style.GREY,
                   ecolor=style.LIGHT, markersize=2.5, elinewidth=0.7, label="measured")
    upper.plot(q, np.where(model > 0, model, np.nan), color=style.RED, zorder=3,
               label=f"model, $\\chi^2$ = {chi_squared:.2f}")
    upper.set_yscale("log")
    values = np.concatenate(seen)
    upper.set_ylim(0.6 * np.quantile(values, 0.01), 2 * values.max())
    upper.set_ylabel("I(q)")
    upper.legend(loc="lower left")
    residual = (intensity - model) / sigma
    lower.axhline(0, color=style.RED, linewidth=1)
    lower.plot(q, residual, ".", color=style.GREY, markersize=2.5)
    reach = max(3.5, 1.1 * np.quantile(np.abs(residual), 0.99))
    lower.set_ylim(-reach, reach)
    lower.set_xlabel(f"q ({style.INVERSE_ANGSTROM})")
    lower.set_ylabel("residual / $\\sigma$")
    if guinier.valid:
        _guinier_inset(upper, q, intensity, sigma, guinier)
    return upper


def _guinier_inset(axes: Axes, q, intensity, sigma, guinier) -> None:
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
