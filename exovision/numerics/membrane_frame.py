"""Steps seen from a piece of membrane that moves and turns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SLIP = 0.4
"""How far membrane slides along itself, as a share of how far it moves along its normal (P)."""


def beside_membrane(
    steps: Floats, normals: Floats, later_normals: Floats, distance_changes: Floats
) -> tuple[Floats, Floats]:
    r"""Take the membrane's motion along its normal off the steps of spots beside it.

    With the unit normal :math:`\hat n` midway between the two and the change :math:`\Delta d` of the signed
    distance, a step :math:`r` becomes

    .. math:: r - (r\cdot\hat n - \Delta d)\,\hat n

    so that along the membrane it is unchanged and across it is what the distance changed by. How membrane
    slides along itself cannot be seen in its outline.

    Parameters
    ----------
    steps : ndarray of shape (N, 2)
        (y, x), any unit.
    normals, later_normals : ndarray of shape (N, 2)
        Unit normals of the membrane beside the spot before and after, outwards.
    distance_changes : ndarray of shape (N,)
        Of the signed distance, same unit.

    Returns
    -------
    ndarray of shape (N, 2)
        Steps beside the membrane; NaN where a normal is, or where the two are more than 90° apart: then it is
        not the same piece of membrane.
    ndarray of shape (N,)
        How far the membrane moved outwards; NaN likewise.
    """
    same = np.sum(normals * later_normals, axis=1) > 0
    middle = np.where(same[:, None], normals + later_normals, np.nan)
    middle = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    outwards = np.sum(steps * middle, axis=1) - distance_changes
    return steps - outwards[:, None] * middle, outwards
