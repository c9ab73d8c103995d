"""How living, dividing and dying cells look at a time: size, roundness, blebs, nucleus, dyes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from exovision.simulation.lives import MINUTE_S, NEVER, Life
from exovision.simulation.scene import Deaths

Floats = NDArray[np.float64]

BLEBS, BLEB_UM = (4, 13), (1.0, 3.0)
BLEB_PERIOD_S = (120.0, 400.0)
BLEB_WIDTH = 0.11
"""Standard deviation of a bleb's profile along the outline, rad, for one of mean size."""
FRAGMENTS = (2, 7)
ROUND_AREA = 0.75
"""Projected area of a cell rounded for division; the daughters share it."""
DAUGHTER_RADIUS = 2 ** (-1 / 3)
PLATE = (0.75, 0.22)
"""Half-axes of a metaphase plate in radii of an interphase nucleus; the short one is wider if tilted."""
BURST_S, FADE_S = 180.0, 1200.0
FLOATING_UM_MIN = 1.5


@dataclass(frozen=True)
class Traits:
    """What is drawn once per cell.

    Attributes
    ----------
    bleb_angle, bleb_um, bleb_period_s, bleb_phase : ndarray of shape (B,)
    piece_radius, piece_angle, piece_area : ndarray of shape (P,)
        Nuclear fragments: place in nuclear radii and share of the nucleus.
    breaks_at : float
        Part of the execution after which the nucleus is in pieces.
    plate_angle, plate_tilt : float
        Of the metaphase plate, rad; 0 is seen edge-on, 1 as wide as long.
    floats_to : float
        Heading of loose remains, rad.
    """

    bleb_angle: Floats
    bleb_um: Floats
    bleb_period_s: Floats
    bleb_phase: Floats
    piece_radius: Floats
    piece_angle: Floats
    piece_area: Floats
    breaks_at: float
    plate_angle: float
    plate_tilt: float
    floats_to: float


@dataclass(frozen=True)
class Forms:
    """The shape of every cell at one time.

    Attributes
    ----------
    present : ndarray of shape (N,)
    scale : ndarray of shape (N,)
        Radius relative to the cell's own.
    roundness : ndarray of shape (N,)
        0: its free shape; 1: a disc.
    blebs : ndarray of shape (N, K)
        How far the outline bulges at each vertex, µm.
    mobility : ndarray of shape (N,)
        Speed relative to that of a live cell.
    drift_um_s : ndarray of shape (N, 2)
        Of loose remains, µm/s.
    """

    present: NDArray[np.bool_]
    scale: Floats
    roundness: Floats
    blebs: Floats
    mobility: Floats
    drift_um_s: Floats


@dataclass(frozen=True)
class Nucleus:
    """The nucleus of one cell at one time, relative to a round interphase nucleus of radius 1.

    Attributes
    ----------
    axes : tuple of float
        Half-axes along and across `angle`; equal ones keep the nucleus' own outline.
    angle : float
        Of the long axis, rad.
    gain : float
        Brightness.
    pieces : ndarray of shape (P, 3)
        Fragments: y, x and radius; empty while it is whole.
    """

    axes: tuple[float, float] = (1.0, 1.0)
    angle: float = 0.0
    gain: float = 1.0
    pieces: Floats = field(default_factory=lambda: np.zeros((0, 3)))


@dataclass(frozen=True)
class Dyes:
    """Brightness of every cell at one time, shape (N,) each, relative to a live cell or to the full stain."""

    body: Floats
    membrane: Floats
    annexin: Floats
    caspase: Floats
    pi: Floats


def draw_traits(rng: np.random.Generator, lives: Sequence[Life]) -> list[Traits]:
    """Draw what distinguishes each cell; sisters lie across their parent's plate."""
    drawn: list[Traits] = []
    for life in lives:
        blebs, pieces = rng.integers(*BLEBS), rng.integers(*FRAGMENTS)
        own_angle = rng.uniform(0, np.pi)
        drawn.append(
            Traits(
                bleb_angle=rng.uniform(0, 2 * np.pi, blebs),
                bleb_um=rng.uniform(*BLEB_UM, blebs),
                bleb_period_s=rng.uniform(*BLEB_PERIOD_S, blebs),
                bleb_phase=rng.uniform(0, 1, blebs),
                piece_radius=np.sqrt(rng.uniform(0.1, 1.0, pieces)),
                piece_angle=2 * np.pi * (np.arange(pieces) + rng.uniform(-0.3, 0.3, pieces)) / pieces,
                piece_area=rng.dirichlet(np.full(pieces, 4.0)),
                breaks_at=rng.uniform(0.4, 0.9),
                plate_angle=own_angle if life.parent < 0 else drawn[life.parent].plate_angle,
                plate_tilt=float(rng.beta(1, 3)),
                floats_to=rng.uniform(0, 2 * np.pi),
            )
        )
    return drawn


def shape_cells(
    lives: Sequence[Life],
    traits: Sequence[Traits],
    deaths: Deaths,
    *,
    angles: Floats,
    radii_um: Floats,
    time_s: float,
) -> Forms:
    """Return the shape of every cell.

    Parameters
    ----------
    lives : sequence of Life
    traits : sequence of Traits
    deaths : Deaths
    angles : ndarray of shape (K,)
        Of the vertices of an outline, rad.
    radii_um : ndarray of shape (N,)
        Of grown, live cells.
    time_s : float
    """
    states = [life.state(time_s) for life in lives]
    n = len(lives)
    scale, roundness, mobility = np.ones(n), np.zeros(n), np.ones(n)
    blebs, drift = np.zeros((n, angles.size)), np.zeros((n, 2))
    for row, (life, state) in enumerate(zip(lives, states)):
        if state == "mitotic":
            scale[row], roundness[row], mobility[row] = *_mitotic_form(life, time_s), 0.1
        elif state == "live":
            roundness[row] = _spreading(life, time_s)
            scale[row] = _grown(life, time_s)
        elif state is not None:
            scale[row] = _grown(life, life.onset_s) * _dying_scale(life, deaths, time_s)
            roundness[row] = min(1.5 * _part(life, time_s), 1.0) * (0.7 if life.mode == "lytic" else 0.85)
            blebs[row] = _blebs(life, traits[row], angles, time_s)
            if life.mode == "apoptotic":
                scale[row] = _without_blebs(scale[row] * radii_um[row], blebs[row]) / radii_um[row]
            mobility[row] = 0.1
        if state == "debris":
            heading = traits[row].floats_to
            drift[row] = FLOATING_UM_MIN / MINUTE_S * np.array([np.sin(heading), np.cos(heading)])
    present = np.array([state is not None for state in states], dtype=bool)
    return Forms(present, scale, roundness, blebs, mobility, drift)


def shape_nucleus(life: Life, traits: Traits, deaths: Deaths, time_s: float) -> Nucleus:
    """Return the nucleus of one cell that is there."""
    nucleus = _grown_nucleus(life, traits, deaths, time_s)
    size = _grown(life, min(time_s, life.onset_s))
    return replace(nucleus, axes=(size * nucleus.axes[0], size * nucleus.axes[1]))


def _grown_nucleus(life: Life, traits: Traits, deaths: Deaths, time_s: float) -> Nucleus:
    state = life.state(time_s)
    if state == "mitotic":
        return _mitotic_nucleus(life, traits, time_s)
    if state == "live":
        settled = _part_since(time_s, life.born_s + life.telophase_s, life.telophase_s)
        return Nucleus(gain=1.15 - 0.15 * settled)
    if life.mode == "lytic":
        return _lytic_nucleus(life, time_s)
    part = _part(life, time_s)
    area = 1 - deaths.nucleus_loss * part
    faded = 1 - 0.4 * _part_since(time_s, life.permeable_s, 3 * FADE_S)
    gain = (1 + (deaths.nucleus_gain - 1) * part) * faded
    if part < traits.breaks_at:
        return Nucleus(axes=(np.sqrt(area),) * 2, gain=gain)
    apart = 0.35 + 0.5 * min((part - traits.breaks_at) / 0.3, 1.0)
    places = (
        apart
        * traits.piece_radius[:, None]
        * np.column_stack([np.sin(traits.piece_angle), np.cos(traits.piece_angle)])
    )
    pieces = np.column_stack([places, np.sqrt(area * traits.piece_area)])
    return Nucleus(axes=(np.sqrt(area),) * 2, gain=gain, pieces=pieces)


def dye_cells(lives: Sequence[Life], deaths: Deaths, time_s: float) -> Dyes:
    """Return how bright the dyes of every cell are."""
    n = len(lives)
    body, membrane, annexin, caspase, pi = np.ones(n), np.ones(n), np.zeros(n), np.zeros(n), np.zeros(n)
    half = deaths.annexin_half_min * MINUTE_S
    for row, life in enumerate(lives):
        leaked = 1 - 2 ** -max((time_s - life.permeable_s) / BURST_S, 0.0)
        annexin[row] = 1 - 2 ** -max((time_s - life.annexin_s) / half, 0.0)
        caspase[row] = 1 - 2 ** -max((time_s - life.caspase_s) / half, 0.0)
        pi[row] = max(
            leaked, *(_pulse(time_s - start, deaths.pi_pulse_s) for start in (*life.pulses_s, NEVER))
        )
        if time_s >= life.onset_s:
            condensed = 1.0 if life.mode == "lytic" else 1 + 0.3 * _part(life, time_s)
            body[row] = condensed * (1 - (0.75 if life.mode == "lytic" else 0.55) * leaked)
            membrane[row] = 1 - 0.4 * leaked
        elif time_s >= life.rounds_s:
            body[row] = 1 + 0.3 * min((time_s - life.rounds_s) / (5 * MINUTE_S), 1.0)
    return Dyes(body, membrane, annexin, caspase, pi)


def parting(traits: Traits, radius_px: float) -> Floats:
    """Return the offset of the first daughter's centre from its parent's, px; the other's is opposite."""
    across = traits.plate_angle + np.pi / 2
    return 0.55 * radius_px * np.array([np.sin(across), np.cos(across)])


def _part(life: Life, time_s: float) -> float:
    return _part_since(time_s, life.onset_s, life.execution_s)


def _part_since(time_s: float, start_s: float, length_s: float) -> float:
    if not np.isfinite(start_s) or length_s <= 0:
        return float(time_s > start_s)
    return float(np.clip((time_s - start_s) / length_s, 0, 1))


def _pulse(age_s: float, length_s: float) -> float:
    return 0.6 * max(1 - age_s / length_s, 0.0) if age_s >= 0 else 0.0


def _grown(life: Life, time_s: float) -> float:
    """Return the radius of a cell relative to a grown one: daughters grow for some hours."""
    if life.parent < 0:
        return 1.0
    return DAUGHTER_RADIUS + (1 - DAUGHTER_RADIUS) * _part_since(time_s, life.born_s, 6 * 60 * MINUTE_S)


def _spreading(life: Life, time_s: float) -> float:
    """Return how round a cell still is after its birth."""
    if life.parent < 0:
        return 0.0
    return 0.6 * (1 - _part_since(time_s, life.born_s + life.telophase_s, 2 * life.telophase_s))


def _mitotic_form(life: Life, time_s: float) -> tuple[float, float]:
    """Return scale and roundness of a cell that rounds up, or of a daughter that spreads again."""
    if time_s < life.born_s + life.telophase_s:
        part = _part_since(time_s, life.born_s, life.telophase_s)
        start = np.sqrt(ROUND_AREA) * DAUGHTER_RADIUS
        return start + (DAUGHTER_RADIUS - start) * part, 1 - 0.4 * part
    part = min(_part_since(time_s, life.rounds_s, life.divides_s - life.rounds_s) / 0.35, 1.0)
    return _grown(life, time_s) * (1 - (1 - np.sqrt(ROUND_AREA)) * part), part


def _mitotic_nucleus(life: Life, traits: Traits, time_s: float) -> Nucleus:
    """Return prophase, metaphase or, in a daughter, anaphase to telophase chromatin."""
    if time_s < life.born_s + life.telophase_s:
        part = _part_since(time_s, life.born_s, life.telophase_s)
        axes = (0.6 + 0.25 * part, 0.2 + 0.65 * part**1.5)
        return Nucleus(axes=axes, angle=traits.plate_angle, gain=2.2 - 1.05 * part)
    part = _part_since(time_s, life.rounds_s, life.divides_s - life.rounds_s)
    if part < 0.35:
        return Nucleus(axes=(1 - 0.12 * part,) * 2, gain=1 + 1.6 * part)
    plate = min((part - 0.35) / 0.2, 1.0)
    short = PLATE[1] + (0.45 - PLATE[1]) * traits.plate_tilt
    axes = (0.96 + (PLATE[0] - 0.96) * plate, 0.96 + (short - 0.96) * plate)
    wobble = 0.3 * np.sin(time_s / (6 * MINUTE_S) + traits.plate_angle) * (1 - part)
    return Nucleus(axes=axes, angle=traits.plate_angle + wobble, gain=1.56 + 0.9 * plate)


def _lytic_nucleus(life: Life, time_s: float) -> Nucleus:
    swollen = 1 + 0.2 * _part(life, time_s)
    burst = _part_since(time_s, life.permeable_s, FADE_S)
    return Nucleus(axes=(np.sqrt(swollen - 0.25 * burst),) * 2, gain=(1 - 0.45 * burst) / swollen)


def _dying_scale(life: Life, deaths: Deaths, time_s: float) -> float:
    part = _part(life, time_s)
    if life.mode == "lytic":
        burst = _part_since(time_s, life.permeable_s, FADE_S)
        return float(np.sqrt(1 + deaths.swelling * part - 0.3 * burst))
    return float(np.sqrt(1 - deaths.area_loss * part))


def _without_blebs(radius_um: float, blebs_um: Floats) -> float:
    """Return the radius of a body that has, together with its blebs, the area of a disc of `radius_um`."""
    mean, square = float(blebs_um.mean()), float((blebs_um**2).mean())
    return float(np.sqrt(max(mean**2 - square + radius_um**2, 0.0)) - mean)


def _blebs(life: Life, traits: Traits, angles: Floats, time_s: float) -> Floats:
    """Return how far the outline bulges: blebs come and go while it lasts, some stay on what is left."""
    part = (time_s - life.onset_s) / life.execution_s
    beat = np.abs(np.sin(np.pi * (time_s / traits.bleb_period_s + traits.bleb_phase)))
    vigour = np.clip(part / 0.15, 0, 1) if part < 1.3 else 0.7
    height = 0.9 * traits.bleb_um * (beat if part < 1.3 else 0.5 + 0.5 * traits.bleb_phase) * vigour
    if life.mode == "lytic":
        few = np.arange(traits.bleb_um.size) < 2
        height = np.where(few, 1.5 * traits.bleb_um * np.clip(part, 0, 1), 0.0)
    away = np.angle(np.exp(1j * (angles[None] - traits.bleb_angle[:, None])))
    width = BLEB_WIDTH * traits.bleb_um / np.mean(BLEB_UM)
    bumps = height[:, None] * np.exp(-0.5 * (away / width[:, None]) ** 2)
    return np.asarray(bumps.max(axis=0), dtype=np.float64)
