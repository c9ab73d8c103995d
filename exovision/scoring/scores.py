"""The figures that a comparison yields, each with its interval and count, or the reason why it is absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import chi2

Z95 = 1.959964
"""The normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Metric:
    """One figure.

    Attributes
    ----------
    value : float
        In the unit that the metric's name gives; without one a ratio, a fraction or a count.
    lo, hi : float
        95 % interval; NaN where none is computed.
    n : int
        How many observations the value rests on.
    """

    value: float
    lo: float = float("nan")
    hi: float = float("nan")
    n: int = 0


Value = Metric | str
"""A metric, or the reason why it could not be computed."""


@dataclass(frozen=True)
class Scores:
    """All figures of one comparison.

    Attributes
    ----------
    metrics : mapping of str to Metric
    absent : mapping of str to str
        Metrics that could not be computed, with the reason; never zero instead.
    tables : mapping of str to DataFrame
        Longer results, such as the confusion of spot states.
    notes : tuple of str
        What limits the comparison, for the user.
    """

    metrics: Mapping[str, Metric]
    absent: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        values: Mapping[str, Value],
        *,
        tables: Mapping[str, pd.DataFrame] | None = None,
        notes: tuple[str, ...] = (),
    ) -> Scores:
        """Sort metrics from reasons."""
        return cls(
            metrics={name: value for name, value in values.items() if isinstance(value, Metric)},
            absent={name: value for name, value in values.items() if isinstance(value, str)},
            tables=dict(tables or {}),
            notes=notes,
        )

    def __getitem__(self, name: str) -> Metric:
        return self.metrics[name]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: a mapping per metric, `absent`, `tables` and `notes`; NaN is None."""
        return {
            **{
                name: {
                    "value": _json(metric.value),
                    "lo": _json(metric.lo),
                    "hi": _json(metric.hi),
                    "n": metric.n,
                }
                for name, metric in self.metrics.items()
            },
            "absent": dict(self.absent),
            "tables": {name: table.to_dict(orient="split") for name, table in self.tables.items()},
            "notes": list(self.notes),
        }

    def to_table(self) -> pd.DataFrame:
        """Return a table with the columns metric, value, lo, hi and n; absent metrics have no row."""
        rows = [(name, metric.value, metric.lo, metric.hi, metric.n) for name, metric in self.metrics.items()]
        return pd.DataFrame(rows, columns=["metric", "value", "lo", "hi", "n"])


def _json(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def proportion(hits: int, n: int, *, of: str) -> Value:
    r"""Return `hits`/`n` with the Wilson interval, or the reason "there are no `of`" where n is 0.

    Notes
    -----
    .. math:: \frac{p + z^2/2n \pm z \sqrt{p(1-p)/n + z^2/4n^2}}{1 + z^2/n}

    where p = hits/n and z = 1.96 (doi:10.1080/01621459.1927.10502953). The observations are taken as
    independent; spots of one track are not, so the interval is then too narrow.
    """
    if n == 0:
        return f"there are no {of}"
    p = hits / n
    centre, width = p + Z95**2 / (2 * n), Z95 * np.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
    scale = 1 + Z95**2 / n
    return Metric(p, max(0.0, float(centre - width) / scale), min(1.0, float(centre + width) / scale), n)


def f1_score(hits: int, missed: int, false: int, *, of: str) -> Value:
    """Return F1 = 2 TP/(2 TP + FP + FN), its interval from J = TP/(TP + FP + FN) as F1 = 2 J/(1 + J)."""
    overlap = proportion(hits, hits + missed + false, of=of)
    if isinstance(overlap, str):
        return overlap
    low, value, high = (2 * j / (1 + j) for j in (overlap.lo, overlap.value, overlap.hi))
    return Metric(value, low, high, overlap.n)


def detection_scores(prefix: str, hits: int, missed: int, false: int, *, of: str) -> dict[str, Value]:
    """Return precision, recall and F1 under `prefix`; without any truth, F1 and recall are absent."""
    no_truth = f"truth has no {of}"
    return {
        f"{prefix}.precision": proportion(hits, hits + false, of=f"{of} in the result"),
        f"{prefix}.recall": proportion(hits, hits + missed, of=f"{of} in the truth"),
        f"{prefix}.f1": f1_score(hits, missed, false, of=of) if hits + missed else no_truth,
    }


def rate(count: int, exposure: float) -> Value:
    """Return count/exposure with the exact Poisson interval (Garwood 1936, doi:10.1093/biomet/28.3-4.437).

    `n` is the count; the unit is one over that of the exposure. Absent where the exposure is unknown or 0.
    """
    if not exposure > 0:
        return "the exposure is unknown: no cells with two or more frame times"
    lo = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return Metric(
        count / exposure, float(lo) / exposure, float(chi2.ppf(0.975, 2 * count + 2)) / 2 / exposure, count
    )


def average(values: ArrayLike, *, of: str) -> Value:
    """Return the mean of the finite values with its normal interval, or "there are no `of`"."""
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    if array.size == 0:
        return f"there are no {of}"
    half = Z95 * float(array.std(ddof=1)) / np.sqrt(array.size) if array.size > 1 else float("nan")
    mean = float(array.mean())
    return Metric(mean, mean - half, mean + half, int(array.size))


def median(values: ArrayLike, *, of: str) -> Value:
    """Return the median of the finite values with its order-statistic interval, or "there are no `of`"."""
    array = np.sort(np.asarray(values, dtype=np.float64))
    array = array[np.isfinite(array)]
    if array.size == 0:
        return f"there are no {of}"
    half = Z95 * np.sqrt(array.size) / 2
    low = max(0, int(np.floor(array.size / 2 - half)))
    high = min(array.size - 1, int(np.ceil(array.size / 2 + half)))
    return Metric(float(np.median(array)), float(array[low]), float(array[high]), int(array.size))
