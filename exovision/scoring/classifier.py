"""How well probabilities part two classes, and whether they mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def roc_auc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the chance that a positive scores above a negative (ties count half); NaN without either.

    Parameters
    ----------
    score, positive : ndarray of shape (N,)
    """
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    ranks = rankdata(score)[positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def average_precision(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the mean over positives of the precision at their score, ties taken together; NaN without any.

    Parameters
    ----------
    score, positive : ndarray of shape (N,)
    """
    if not positive.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    precision = hits[last] / (last + 1)
    gained = np.diff(hits[last], prepend=0)
    return float((precision * gained).sum() / hits[-1])


def calibration_error(
    probability: NDArray[np.float64], positive: NDArray[np.bool_], *, bins: int = 15
) -> float:
    r"""Return the expected calibration error of probabilities of one class.

    .. math:: \sum_b \frac{n_b}{N} \left| \bar p_b - \bar y_b \right|

    where b are equally wide bins of probability (Guo 2017, arXiv:1706.04599).

    Parameters
    ----------
    probability, positive : ndarray of shape (N,)
    bins : int
    """
    if not probability.size:
        return float("nan")
    index = np.minimum((probability * bins).astype(np.int64), bins - 1)
    gap = np.bincount(index, weights=probability - positive, minlength=bins)
    return float(np.abs(gap).sum() / probability.size)
