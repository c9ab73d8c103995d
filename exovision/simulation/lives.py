"""When each simulated cell is born, divides and dies, drawn before the movie: pedigree, hits, hazards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from exovision.simulation.particles import Particle
from exovision.simulation.scene import Deaths, Divisions, Scene

Floats = NDArray[np.float64]

MINUTE_S, HOUR_S = 60.0, 3600.0
HAZARD_STEP_S = 60.0
BEFORE_ANAPHASE = 0.65
"""Share of the time that a dividing cell is round that lies before the daughters part."""
EXECUTION_GSD, EXECUTION_MIN = 1.5, (15.0, 120.0)
PI_GSD, PI_H = 1.6, (0.5, 12.0)
ROUNDING_GSD, ROUNDING_MIN = 1.25, (25.0, 90.0)
SWELLING_GSD, SWELLING_MIN = 1.4, (4.0, 25.0)
FLOATING_S = 1200.0
"""How long loose remains are still seen."""

NEVER = np.inf


@dataclass(frozen=True)
class Life:
    """One cell from its birth to its end; times in s, infinite for what does not happen.

    Attributes
    ----------
    parent : int
        Row of its parent, −1 for the first cells.
    born_s, rounds_s, divides_s : float
        When it parts from its sister, begins to round up for its own division, and parts into daughters.
    telophase_s : float
        How long after its birth it still looks mitotic.
    onset_s : float
        The earliest sign of dying.
    mode : str
        "apoptotic", "lytic", or empty.
    execution_s : float
        From onset to full shrinkage, or of swelling until a lytic cell bursts.
    annexin_s, caspase_s, permeable_s : float
        When each begins.
    loose_s, gone_s : float
        When the remains let go of the glass, and when they are out of view.
    pulses_s : tuple of float
        Starts of short-lived pores.
    """

    parent: int = -1
    born_s: float = -NEVER
    rounds_s: float = NEVER
    divides_s: float = NEVER
    telophase_s: float = 0.0
    onset_s: float = NEVER
    mode: str = ""
    execution_s: float = 1.0
    annexin_s: float = NEVER
    caspase_s: float = NEVER
    permeable_s: float = NEVER
    loose_s: float = NEVER
    gone_s: float = NEVER
    pulses_s: tuple[float, ...] = field(default=())

    def state(self, time_s: float) -> str | None:
        """Return the contract's state at a time, None before birth and after the end."""
        if not self.born_s <= time_s < min(self.gone_s, self.divides_s):
            return None
        if time_s >= self.loose_s:
            return "debris"
        if time_s >= self.onset_s:
            return self._dying(time_s)
        mitotic = time_s >= self.rounds_s or time_s < self.born_s + self.telophase_s
        return "mitotic" if mitotic else "live"

    def _dying(self, time_s: float) -> str:
        if self.mode == "lytic":
            return "lytic"
        if time_s >= self.permeable_s:
            return "secondary_necrotic"
        return "late_apoptotic" if time_s >= self.onset_s + self.execution_s else "early_apoptotic"


def draw_pedigree(rng: np.random.Generator, scene: Scene) -> list[Life]:
    """Draw births and divisions until the end of the movie; the first cells come first.

    Parameters
    ----------
    rng : numpy.random.Generator
    scene : Scene

    Returns
    -------
    list of Life
        A cell's row is its place; nobody dies yet.
    """
    end_s = scene.imaging.frames * scene.imaging.frame_interval_s
    lives = [Life() for _ in range(scene.cells.count)]
    divisions = scene.divisions
    if divisions is None:
        return lives
    row = 0
    while row < len(lives):
        life = lives[row]
        cycle = _cycle_s(rng, divisions)
        start = rng.uniform(-cycle, 0.0) if life.parent < 0 else life.born_s
        rounding = MINUTE_S * _lognormal(rng, divisions.rounding_min, ROUNDING_GSD, ROUNDING_MIN)
        divides = start + cycle
        if divides < end_s + rounding:
            telophase = (1 - BEFORE_ANAPHASE) * rounding
            lives[row] = replace(life, divides_s=divides, rounds_s=divides - BEFORE_ANAPHASE * rounding)
            if divides < end_s:
                lives += [Life(parent=row, born_s=divides, telophase_s=telophase)] * 2
        row += 1
    return lives


def _cycle_s(rng: np.random.Generator, divisions: Divisions) -> float:
    return float(HOUR_S * divisions.cycle_h * max(rng.normal(1, divisions.cycle_spread), 0.3))


def _lognormal(
    rng: np.random.Generator, middle: float, gsd: float, limits: tuple[float, float] | None = None
) -> float:
    drawn = middle * rng.lognormal(0, np.log(gsd))
    return float(drawn if limits is None else np.clip(drawn, *limits))


def draw_deaths(
    rng: np.random.Generator, scene: Scene, lives: Sequence[Life], particles: Sequence[Particle]
) -> list[Life]:
    r"""Let cells die at a hazard that hits raise; the dead have no daughters.

    Parameters
    ----------
    rng : numpy.random.Generator
    scene : Scene
    lives : sequence of Life
        From `draw_pedigree`; parents come before their daughters.
    particles : sequence of Particle
        Their arrivals on cells are the hits.

    Returns
    -------
    list of Life
        Daughters of cells that died first are never born (`born_s` is infinite).

    Notes
    -----
    The hazard is the baseline times :math:`HR^{\log_2(1 + d)}`, where a hit adds 1 to the damage d after a
    lag, and d halves in each half-life. Sisters share part of their luck. A dividing cell does not die.
    """
    deaths = scene.deaths
    if deaths is None:
        return list(lives)
    end_s = scene.imaging.frames * scene.imaging.frame_interval_s
    family = rng.normal(size=len(lives))
    found: list[Life] = []
    for row, life in enumerate(lives):
        luck = _luck(rng, deaths, family[life.parent] if life.parent >= 0 else rng.normal())
        parent = found[life.parent] if life.parent >= 0 else None
        if parent is not None and NEVER in (parent.divides_s, parent.born_s):
            found.append(replace(life, born_s=NEVER))
            continue
        hits = [p for p in particles if p.cell == row and p.kind == "docked"]
        onset = _onset(deaths, life, hits, -np.log(luck), end_s)
        pulses = tuple(
            np.sort(rng.uniform(0, end_s, rng.poisson(deaths.pi_pulses_per_cell_hour * end_s / HOUR_S)))
        )
        found.append(_die(rng, deaths, replace(life, pulses_s=pulses), onset))
    return found


def _luck(rng: np.random.Generator, deaths: Deaths, shared: float) -> float:
    """Return a uniform number that sisters, with the same shared part, draw alike."""
    rho = deaths.sister_correlation
    return max(float(ndtr(np.sqrt(rho) * shared + np.sqrt(1 - rho) * rng.normal())), 1e-300)


def _onset(deaths: Deaths, life: Life, hits: Sequence[Particle], threshold: float, end_s: float) -> float:
    """Return when the hazard, added up, reaches the threshold; infinite if it does not."""
    start = max(life.born_s + life.telophase_s, 0.0)
    grid = np.arange(start, min(end_s, life.rounds_s), HAZARD_STEP_S)
    if not grid.size:
        return NEVER
    logs = np.zeros(grid.size)
    for ratio, fused in ((deaths.docking_hr, False), (deaths.fusion_hr, True)):
        if ratio != 1:
            times = np.array([p.start_s for p in hits if (p.cause == "fused") == fused])
            logs += np.log(ratio) * np.log2(1 + _damage(deaths, times, grid))
    spent = np.cumsum(deaths.per_cell_hour * np.exp(logs)) * HAZARD_STEP_S / HOUR_S
    step = int(np.searchsorted(spent, threshold))
    if step >= grid.size:
        return NEVER
    before = spent[step - 1] if step else 0.0
    return float(grid[step] + HAZARD_STEP_S * (threshold - before) / (spent[step] - before))


def _damage(deaths: Deaths, hits_s: Floats, grid_s: Floats) -> Floats:
    age = (grid_s[:, None] - hits_s - deaths.hit_lag_h * HOUR_S) / (deaths.hit_half_life_h * HOUR_S)
    return np.asarray(np.where(age >= 0, 0.5 ** np.maximum(age, 0), 0.0).sum(axis=1), dtype=np.float64)


def _die(rng: np.random.Generator, deaths: Deaths, life: Life, onset_s: float) -> Life:
    """Draw how a cell dies; the draws are made for the living as well."""
    lytic = rng.random() < deaths.lytic_share
    execution = MINUTE_S * (
        _lognormal(rng, deaths.swelling_min, SWELLING_GSD, SWELLING_MIN)
        if lytic
        else _lognormal(rng, deaths.execution_min, EXECUTION_GSD, EXECUTION_MIN)
    )
    annexin = MINUTE_S * rng.uniform(0, deaths.annexin_delay_min)
    caspase = MINUTE_S * rng.uniform(0, deaths.caspase_delay_min)
    leak = HOUR_S * _lognormal(rng, deaths.pi_delay_h, PI_GSD, PI_H)
    rests = HOUR_S * rng.exponential(deaths.remains_h)
    if not np.isfinite(onset_s):
        return life
    permeable = onset_s + (execution if lytic else max(leak, execution))
    loose = onset_s + execution + rests
    return replace(
        life,
        rounds_s=NEVER,
        divides_s=NEVER,
        onset_s=onset_s,
        mode="lytic" if lytic else "apoptotic",
        execution_s=execution,
        annexin_s=permeable if lytic else onset_s + annexin,
        caspase_s=NEVER if lytic else onset_s + caspase,
        permeable_s=permeable,
        loose_s=loose,
        gone_s=loose + FLOATING_S,
    )
