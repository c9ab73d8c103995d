"""What a simulated experiment consists of: its conditions, its replicates, and what rules hits and deaths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Arm:
    """One condition of the experiment.

    Attributes
    ----------
    condition, source, target_type, treatment, control : str
        As in the sample sheet.
    docking_per_h : float
        Mean rate of dockings on a cell.
    fusion_share, uptake_share, unresolved_share : float
        What becomes of dockings; the rest detach.
    docking_hr, fusion_hr : float
        True hazard ratio per doubling, per hit or per unit of damage (the plan's `scale`).
    death_per_h : float
        Hazard of death of a cell without hits.
    """

    condition: str
    source: str = "NK"
    target_type: str = "tumour"
    treatment: str = "none"
    control: str = "none"
    docking_per_h: float = 0.5
    fusion_share: float = 0.0
    uptake_share: float = 0.3
    unresolved_share: float = 0.0
    docking_hr: float = 1.0
    fusion_hr: float = 1.0
    death_per_h: float = 0.02


@dataclass(frozen=True)
class StudyPlan:
    """A simulated experiment; every well is one movie.

    Attributes
    ----------
    arms : tuple of Arm
    donors, wells_per_donor, cells_per_well : int
        `wells_per_donor` is that of each arm.
    duration_h, frame_interval_s : float
    sights_every : int
        `cells` has a row per cell and so many frames.
    lag_h, half_life_h : float
        From a hit to its effect; half-life of the damage (infinite: it stays).
    scale : str
        What the true hazard ratio is for: a doubling of 1 + hits, a hit, or a unit of decaying damage.
    rate_shape : float
        Shape of the gamma distribution of docking rates between cells; infinite: all alike.
    size_spread, size_to_docking, size_to_death : float
        Standard deviation of log area, and the powers of area in both rates.
    well_spread, donor_spread, frailty : float
        Standard deviations of the log hazard between wells and donors; variance of the cells' gamma frailty.
    docking_after_onset, onset_delay_h : float
        Factor on docking once a cell is dying, and the mean of how late its onset is called.
    onset_width_h : float
        Width of the interval that is reported for the onset, beside the frame interval.
    late, lost_per_h : float
        Share of cells that enter later, half of them by birth; rate at which tracks are lost.
    tracer_fraction, recall, false_per_h : float
        Shares of hits that carry a label and are found; false dockings per cell and hour.
    """

    arms: tuple[Arm, ...] = field(
        default_factory=lambda: (Arm("NK exosomes"), Arm("none", control="no_exosome"))
    )
    donors: int = 3
    wells_per_donor: int = 2
    cells_per_well: int = 50
    duration_h: float = 24.0
    frame_interval_s: float = 600.0
    sights_every: int = 1
    lag_h: float = 1.0
    half_life_h: float = float("inf")
    scale: Literal["doubling", "hit", "damage"] = "doubling"
    rate_shape: float = 2.0
    size_spread: float = 0.3
    size_to_docking: float = 0.0
    size_to_death: float = 0.0
    well_spread: float = 0.0
    donor_spread: float = 0.0
    frailty: float = 0.0
    docking_after_onset: float = 1.0
    onset_delay_h: float = 0.0
    onset_width_h: float = 0.0
    late: float = 0.0
    lost_per_h: float = 0.0
    tracer_fraction: float = 1.0
    recall: float = 1.0
    false_per_h: float = 0.0


@dataclass(frozen=True)
class StudyCells:
    """Every cell of a study with what rules its fate.

    Attributes
    ----------
    movie, arm : ndarray of shape (N,)
        Numbers of the cell's movie and condition.
    area_um2, docking_per_h, hazard_per_h, entry_s : ndarray of shape (N,)
    born : ndarray of shape (N,)
        Whether it enters by birth.
    hits, fusions : ndarray of shape (N, K)
        Dockings in each step, whoever is still there to receive them, and those of them that fuse.
    """

    movie: Ints
    arm: Ints
    area_um2: Floats
    docking_per_h: Floats
    hazard_per_h: Floats
    entry_s: Floats
    born: NDArray[np.bool_]
    hits: NDArray[np.int64]
    fusions: NDArray[np.int64]
