"""How well anybody could tell two courses of events apart who knew everything but which of them it was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

SURE, BLIND = 0.99, 0.85
"""Areas under the curve from which on a kind can be told, and up to which it cannot."""


def ideal_auc(one: Floats, other: Floats, *, read_noise: float) -> float:
    r"""Return the area under the ROC curve of the best possible test between two sequences of images.

    The test is the likelihood ratio of all pixels, frames and channels. Its value is a sum over many pixels
    and so nearly Gaussian, with mean :math:`m_i` and variance :math:`v_i` under the two hypotheses:

    .. math:: \mathrm{AUC} = \Phi\Big(\frac{m_1 - m_0}{\sqrt{v_1 + v_0}}\Big), \quad
        m_1 - m_0 = \sum (\mu_1 - \mu_0) \ln\frac{\mu_1}{\mu_0}, \quad
        v_i = \sum \mu_i \Big(\ln\frac{\mu_1}{\mu_0}\Big)^2

    where :math:`\mu` are expected photo-electrons plus the variance of the read noise, which makes the sum of
    shot and read noise nearly a Poisson variable.

    Parameters
    ----------
    one, other : ndarray of equal shape
        Expected photo-electrons, background included; positive.
    read_noise : float
        Photo-electrons, rms.

    Returns
    -------
    float
        0.5 (no difference) to 1.

    Notes
    -----
    An upper bound: in truth, diffusion, gain, place and time must be estimated too.
    """
    first, second = one + read_noise**2, other + read_noise**2
    ratio = np.log(first / second)
    apart = ((first - second) * ratio).sum()
    spread = ((first + second) * ratio**2).sum()
    return float(ndtr(apart / np.sqrt(spread))) if spread > 0 else 0.5


def verdict(auc: float) -> bool | None:
    """Return whether a kind can be told: True, False, or None between."""
    if auc >= SURE:
        return True
    return False if auc <= BLIND else None
