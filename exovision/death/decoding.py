"""Every cell followed through its states: what it was in each frame, whether, when and how it died."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.death.evidence import CLASSES, are_scraps, gather
from exovision.death.markov import (
    APOPTOTIC_PATH,
    AT_APPEARED,
    AT_BIRTH,
    AT_FIRST,
    AT_SMALL,
    DEAD,
    DEBRIS,
    LYTIC_PATH,
    MITOTIC,
    NAMES,
    STATES,
    rates_per_h,
    smooth,
)
from exovision.death.onset import NOWHEN, Moment, combine, find_change, first_lasting
from exovision.death.rulings import FINAL, bound
from exovision.death.stains import Stain, measure_stains, without_pulses
from exovision.settings import DeathSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AFTER_CALL_S = 3600.0
"""How much after the call the change-point is sought in: the new level must be seen."""
MODEL_ERROR = 0.01
"""How often a death that looks certain is none, such as debris on a cell (P)."""
LEAST_SPREAD = 0.06
"""Relative standard deviation of a live cell's area or nuclear brightness, at least."""
PARTED = tuple(name for name in FINAL if name != "debris")
"""States that tell how a cell died."""
LAG_S, LAG_SCALE_S, LARGEST_LOGIT = 1200.0, 300.0, 4.0
"""Annexin this long before PI speaks for apoptosis, both together for lysis."""


@dataclass(frozen=True)
class Death:
    """What is known of one cell's death.

    Attributes
    ----------
    probability : float
        That it was dying by its last frame.
    called : bool
    mode : str or None
        "apoptotic", "lytic" or "unresolved"; None unless called.
    apoptotic : float
        Probability of apoptosis, given that it died.
    onset : Moment
    stained : mapping of str to Moment
        When each stain came to stay.
    call_s : float
        When it was more likely dying than not.
    signs : mapping of str to float
        When each signal began to change, s.
    """

    probability: float
    called: bool
    mode: str | None
    apoptotic: float
    onset: Moment
    stained: Mapping[str, Moment]
    call_s: float
    signs: Mapping[str, float]

    @property
    def permeable(self) -> Moment:
        """When PI came to stay."""
        return self.stained.get("pi", NOWHEN)

    @property
    def annexin_lead_s(self) -> float:
        """How long annexin came before PI, s; NaN unless both did."""
        return self.permeable.time_s - self.stained.get("annexin", NOWHEN).time_s


@dataclass(frozen=True)
class Decoded:
    """The posterior of one cell's states.

    Attributes
    ----------
    rows : ndarray of shape (T,)
        Of the table of cells, in order of time.
    posterior : ndarray of shape (T, 9)
    death : Death
    ruled : ndarray of shape (T,)
        The state that a person decided on, "" where none did.
    """

    rows: Ints
    posterior: Floats
    death: Death
    ruled: NDArray[np.object_]

    @property
    def dying(self) -> Floats:
        """Probability of being in a state without return, shape (T,)."""
        return np.asarray(self.posterior[:, DEAD].sum(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Panel:
    """What a movie offers to tell death by.

    Attributes
    ----------
    stains : mapping of str to Stain
        Without short pulses of PI.
    signals : mapping of str to ndarray of shape (N,)
        What change-points are sought in, in standard deviations of a live cell.
    judged : bool
        Whether the morphology network judged any cell.
    nuclei_only : bool
    start_s : float
        Time of the first frame: what is dead when it appears later is what is left of a cell seen before.
    """

    stains: Mapping[str, Stain]
    signals: Mapping[str, Floats]
    judged: bool
    nuclei_only: bool
    start_s: float

    @property
    def means(self) -> list[str]:
        """What deaths are told by."""
        return means_of(self.stains, judged=self.judged, nuclei_only=self.nuclei_only)

    @property
    def tells_death(self) -> bool:
        """Whether death can be told at all: by morphology, a stain, or the nuclei's own light."""
        return bool(self.means)

    @property
    def tells_mode(self) -> bool:
        """Whether apoptosis can be told from lysis."""
        return not limit_of(self.means)


def means_of(stains: Iterable[str], *, judged: bool, nuclei_only: bool) -> list[str]:
    """Return what deaths are told by, of morphology, the nuclei's own light, and stains."""
    return [*(["morphology"] if judged else []), *(["nucleus"] if nuclei_only else []), *stains]


def limit_of(means: Collection[str]) -> str:
    """Return what these means, as in `Panel.means`, cannot tell and what it would need; empty if nothing."""
    if not means:
        return (
            "death cannot be told: it needs the morphology network, or a channel of annexin, caspase, PI or "
            "nuclei; the outline alone does not show it"
        )
    if {"morphology", "nucleus", "caspase"} & set(means) or {"annexin", "pi"} <= set(means):
        return ""
    needs = "outlined nuclei, the morphology network, a channel of caspase, or annexin and PI"
    return f"how cells died cannot be told: it needs {needs}"


def make_panel(
    cells: pd.DataFrame, tracks: list[Ints], settings: DeathSettings, *, nuclei_only: bool
) -> Panel:
    """Gather stains and signals of a movie's table of cells."""
    times_s = cells["time_s"].to_numpy(dtype=np.float64)
    stains = {
        role: without_pulses(stain, tracks, times_s, settings.pi_pulse_s) if role == "pi" else stain
        for role, stain in measure_stains(cells, settings).items()
    }
    signals = {role: stain.excess / stain.sigma for role, stain in stains.items() if role != "pi"}
    whole = ~cells["touches_border"].fillna(False).to_numpy(dtype=bool)
    shapes = {"area": np.where(whole, cells["area_um2"].to_numpy(dtype=np.float64), np.nan)}
    if nuclei_only:
        shapes["nucleus"] = cells["mean_nucleus"].to_numpy(dtype=np.float64)
    for name, values in shapes.items():
        logs = np.log(np.maximum(values, 1e-9))
        steps = np.concatenate([np.diff(logs[rows]) for rows in tracks] or [np.zeros(0)])
        noise = 1.05 * float(np.nanmedian(np.abs(steps))) if np.isfinite(steps).any() else 0.0
        signals[name] = logs / max(noise, LEAST_SPREAD)
    judged = cells[[f"p_{name}" for name in CLASSES]].notna().all(axis=1)
    if judged.any():
        looks = cells["p_apoptotic"].to_numpy(dtype=np.float64) + cells["p_lytic"].to_numpy(dtype=np.float64)
        signals["morphology"] = looks / 0.1
    start_s = float(times_s.min()) if len(times_s) else 0.0
    return Panel(stains, signals, bool(judged.any()), nuclei_only, start_s)


def decode_cells(
    cells: pd.DataFrame,
    tracks: list[Ints],
    entries: list[str],
    panel: Panel,
    settings: DeathSettings,
    *,
    ruled: NDArray[np.object_],
) -> list[Decoded]:
    """Follow every cell through its states.

    Parameters
    ----------
    cells : DataFrame
        `exovision.schema.CELLS` and `mean_<role>`, a row per cell and frame.
    tracks : list of ndarray of int
        Row numbers of each cell, in order of time.
    entries : list of str
        How each track begins: "start", "birth" or "entered_field".
    panel : Panel
    settings : DeathSettings
    ruled : ndarray of shape (N,)
        The state of each row that a person decided on, "" where none did.

    Raises
    ------
    InputError
        If what was decided of a cell contradicts itself.
    """
    evidence = gather(
        cells,
        panel.stains,
        tracks,
        nuclei_only=panel.nuclei_only,
        appearance_s=60 * settings.appearance_min,
    )
    rates = rates_per_h(settings)
    times_s = cells["time_s"].to_numpy(dtype=np.float64)
    found = []
    scraps = are_scraps(cells, tracks, settings.debris_area_share, nuclei_only=panel.nuclei_only)
    cut = cells["touches_border"].fillna(False).to_numpy(dtype=bool)
    for rows, entry, scrap in zip(tracks, entries, scraps):
        appeared = entry == "entered_field" and not cut[rows[0]]
        otherwise = AT_SMALL if scrap else AT_APPEARED if appeared else AT_FIRST
        at_first = AT_BIRTH if entry == "birth" else otherwise
        seen, since, group = evidence.of(rows)
        by_hand = ruled[rows]
        if (by_hand != "").any():
            seen = bound(seen, by_hand, rates, cell_id=int(cells["cell_id"].iloc[rows[0]]))
            since = np.where(np.isfinite(seen[:, list(DEAD)]), since, -np.inf)
        posterior = smooth(seen, times_s[rows], rates, at_first=at_first, since=since, group=group)
        death = _judge(rows, posterior, times_s[rows], panel, settings)
        if (by_hand != "").any():
            stained = {role: _stained(stain, rows, times_s[rows]) for role, stain in panel.stains.items()}
            death = _rule(death, by_hand, posterior, times_s[rows], stained)
        found.append(Decoded(rows, posterior, death, by_hand))
    return found


def _rule(
    death: Death,
    ruled: NDArray[np.object_],
    posterior: Floats,
    times_s: Floats,
    stained: Mapping[str, Moment],
) -> Death:
    """Return the death of a cell of which a person decided some frames: it is dead from those on, not before.

    The onset then lies between the last frame without and the first with a state without return.
    """
    dying = posterior[:, DEAD].sum(axis=1)
    first = int(np.argmax(dying >= 0.5))
    onset = Moment(*(float(times_s[k]) for k in (first, max(first - 1, 0), first)))
    alive = times_s[(ruled != "") & ~np.isin(ruled, FINAL)]
    if not np.isin(ruled, FINAL).any():
        early = death.called and len(alive) > 0 and death.onset.lo_s <= alive.max()
        return replace(death, onset=onset, call_s=onset.time_s) if early else death
    if first == 0 and posterior[0, DEBRIS] >= 0.5:
        return replace(death, called=False, mode=None, onset=NOWHEN, call_s=np.nan)
    apoptotic = _apoptotic(posterior[first:], np.nan)
    mode = "apoptotic" if apoptotic >= 0.5 else "lytic"
    if not np.isin(ruled, PARTED).any():
        mode = death.mode or "unresolved"
    return replace(
        death,
        called=True,
        probability=float(dying[-1]),
        apoptotic=apoptotic,
        mode=mode,
        onset=onset,
        stained=stained,
        call_s=onset.time_s,
    )


def _judge(rows: Ints, posterior: Floats, times_s: Floats, panel: Panel, settings: DeathSettings) -> Death:
    """Say whether, when and how one cell died."""
    dying = posterior[:, DEAD].sum(axis=1)
    probability = (1 - MODEL_ERROR) * float(dying[-1])
    certain = int((dying >= 0.5).sum()) >= settings.min_frames
    from_start = times_s[0] <= panel.start_s
    was_cell = posterior[0, DEBRIS] < 0.5 and (from_start or dying[0] < 0.5)
    called = panel.tells_death and probability >= settings.min_probability and certain and was_cell
    if not called:
        return Death(probability, False, None, np.nan, NOWHEN, {}, np.nan, {})
    call_s = float(times_s[np.argmax(dying >= 0.5)])
    near = (times_s >= call_s - 3600 * settings.onset_window_h) & (times_s <= call_s + AFTER_CALL_S)
    signs = _signs(rows[near], times_s[near], panel)
    at_first = Moment(call_s, call_s, call_s)
    onset = at_first if dying[0] >= 0.5 else combine(signs, times_s[near], call_s)
    stained = {role: _stained(stain, rows, times_s) for role, stain in panel.stains.items()}
    starts = {name: float(t[np.searchsorted(np.cumsum(w), 0.5)]) for name, (t, w) in signs.items()}
    death = Death(probability, True, None, np.nan, onset, stained, call_s, starts)
    apoptotic = _apoptotic(posterior[dying >= 0.5], death.annexin_lead_s)
    return replace(death, apoptotic=apoptotic, mode=_mode(apoptotic, panel, settings))


def _signs(rows: Ints, times_s: Floats, panel: Panel) -> dict[str, tuple[Floats, Floats]]:
    """Return the change-points of every signal in some of a cell's frames."""
    changes = {name: find_change(signal[rows], times_s) for name, signal in panel.signals.items()}
    return {name: change for name, change in changes.items() if change is not None}


def _stained(stain: Stain, rows: Ints, times_s: Floats) -> Moment:
    excess = stain.excess[rows]
    seen = np.isfinite(excess)
    return first_lasting(excess[seen] >= stain.threshold, times_s[seen])


def _apoptotic(posterior: Floats, annexin_lead_s: float) -> float:
    """Return the probability that a death was apoptotic: from the states, and annexin's lead over PI."""
    paths = [posterior[:, path].sum() for path in (APOPTOTIC_PATH, LYTIC_PATH)]
    logit = float(np.clip(np.log(paths[0] + 1e-3) - np.log(paths[1] + 1e-3), -LARGEST_LOGIT, LARGEST_LOGIT))
    if np.isfinite(annexin_lead_s):
        logit += float(np.clip((annexin_lead_s - LAG_S) / LAG_SCALE_S, -LARGEST_LOGIT, LARGEST_LOGIT))
    return float(1 / (1 + np.exp(-logit)))


def _mode(apoptotic: float, panel: Panel, settings: DeathSettings) -> str:
    if panel.tells_mode and apoptotic >= settings.mode_min_probability:
        return "apoptotic"
    if panel.tells_mode and 1 - apoptotic >= settings.mode_min_probability:
        return "lytic"
    return "unresolved"


def name_states(decoded: Decoded, times_s: Floats, settings: DeathSettings) -> list[str]:
    """Return the contract's state of one cell in each frame, in an order without return.

    Parameters
    ----------
    decoded : Decoded
    times_s : ndarray of shape (T,)
        Of the cell's frames, s.
    settings : DeathSettings
    """
    death, posterior = decoded.death, decoded.posterior
    names = []
    stage = 0
    for time_s, chance, by_hand in zip(times_s, posterior, decoded.ruled):
        if by_hand:
            likely = int(chance.argmax())
            stage = max(stage or likely, likely, key=DEAD.index) if by_hand in FINAL else stage
            names.append(str(by_hand))
            continue
        if death.called and time_s >= death.onset.time_s:
            likely = max(DEAD, key=lambda state: chance[state])
            stage = max(stage, likely, key=DEAD.index) if stage else likely
            names.append(NAMES[STATES[stage]])
            continue
        least = settings.state_min_probability
        names.append(_name_alive(chance, least, dead=death.called, remains=decoded.dying[0] >= 0.5))
    return names


def _name_alive(chance: Floats, least: float, *, dead: bool, remains: bool) -> str:
    """Return the state in a frame before the onset, or of a cell that was not called dead."""
    if chance[DEBRIS] >= least and not dead:
        return "debris"
    dying = float(chance[list(DEAD)].sum())
    if dying >= 0.5 and not dead:
        return "debris" if remains else "rounded_unsure"
    alive = 1.0 - dying
    if alive >= least or dead:
        return "mitotic" if chance[MITOTIC] >= 0.5 * alive else "live"
    return "unknown"
