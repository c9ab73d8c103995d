"""What became of every docked exosome, from the light around it: the entry to the event models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.events.changes import find_moments
from exovision.events.chemistry import Chemistry
from exovision.events.dockings import Docking
from exovision.events.estimates import estimate
from exovision.events.examples import Examined, examine
from exovision.events.hypotheses import Fit
from exovision.events.identifiability import SPREADING, FateLimits, fate_limits
from exovision.events.mergers import Mergers
from exovision.events.motion import Track
from exovision.events.neighbours import Neighbours
from exovision.events.observer import View, usual_auc
from exovision.events.patches import BATCH, Microscope, Place, place_moment, read_sequences
from exovision.events.sequences import PatchSequence, Scenery
from exovision.events.uptake import crossing, uptake_probability
from exovision.events.verdicts import FATES, KINDS, Posterior, Verdict
from exovision.events.weighing import FateNetwork, weigh
from exovision.numerics.release import START
from exovision.records import Movie
from exovision.settings import EventSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNTOLD = Posterior(dict.fromkeys(FATES, 0.0) | {"unresolved": 1.0}, float("nan"), "stays", "stays")
GLOW_UM, GLOW_FRAMES = 1.0, 16
"""The glow of one fusion reaches so far and lasts so long."""
WHOLE = ("fused",)
"""Fates after which nothing is left to be docked: they cannot come before the end of a docking."""
MODEL_OF = {"fused": "spreads", "hemifused": "half_spreads"}
"""The model of the exosome's light whose parameters describe a fate."""


@dataclass(frozen=True)
class Judge:
    """All that is needed to judge the moments of one movie.

    Attributes
    ----------
    movie : Movie
    microscope : Microscope
    name : str
        Of the chemistry.
    chemistry : Chemistry
    fading : ndarray of shape (T,)
        Light left of common bleaching.
    settings : EventSettings
    network : FateNetwork, optional
        Weighs the special fates; without one the models of the light decide alone.
    witness : callable, optional
        Told of every moment that is judged.
    """

    movie: Movie
    microscope: Microscope
    name: str
    chemistry: Chemistry
    fading: Floats
    settings: EventSettings
    network: FateNetwork | None = None
    witness: Callable[[Judge, Place, Examined], None] | None = None

    def limits(self, spots: pd.DataFrame, interval_s: float) -> dict[str, FateLimits]:
        """Return what could be told of the typical linked spot, by kind of event."""
        linked = spots[spots["exosome_id"].notna()]
        view = typical_view(linked, self.microscope, interval_s) if len(linked) else None
        return fate_limits(self.name, self.chemistry, view, self.settings)

    def verdicts(
        self,
        dockings: Sequence[Docking],
        spots: pd.DataFrame,
        *,
        told: Sequence[str],
        tracks: Sequence[Track],
        paths: Mapping[int, Floats],
        drift_um: Floats,
        times_s: Floats,
    ) -> list[Verdict]:
        """Judge every moment at which something may have happened.

        Parameters
        ----------
        dockings : sequence of Docking
            And other stays at a membrane.
        spots : DataFrame
            All spots, with the columns `schema.MEMBRANE_FRAME`.
        told : sequence of str
            Kinds that this movie can tell, of those in `limits`; the others count as unresolved.
        tracks : sequence of Track
            Of all exosomes.
        paths : mapping of int to ndarray of shape (T, 2)
            Of the cells on the stage, µm.
        drift_um : ndarray of shape (T, 2)
        times_s : ndarray of shape (T,)
            Of the exosome channel; NaN where not acquired.

        Returns
        -------
        list of Verdict
            By docking and frame.

        Raises
        ------
        InputError
            As the movie does.
        """
        found: list[Verdict] = []
        if "fusion" in self.chemistry.shows:
            found = self._by_light(dockings, spots, told, tracks, paths, drift_um, times_s)
        found = self._with_uptakes(dockings, found) if "uptake" in told else found
        found = self._with_mergers(dockings, found, tracks) if "aggregation" in told else found
        return sorted(found, key=lambda verdict: (verdict.docking, verdict.frame, not verdict.ends))

    def _by_light(
        self,
        dockings: Sequence[Docking],
        spots: pd.DataFrame,
        told: Sequence[str],
        tracks: Sequence[Track],
        paths: Mapping[int, Floats],
        drift_um: Floats,
        times_s: Floats,
    ) -> list[Verdict]:
        """Return what the light says of every moment; arguments as in `verdicts`."""
        roles = ["exosome", *(["content"] if "content" in self.movie.roles else [])]
        contents = spots["content_counts"].to_numpy(dtype=np.float64) if "content" in roles else None
        acquired = np.flatnonzero(np.isfinite(times_s)).astype(np.int64)
        still = np.zeros((len(times_s), 2))
        placed = [
            place_moment(
                moment,
                acquired=acquired,
                path_um=paths.get(moment.track.cell_id, still),
                drift_um=drift_um,
                pixel_size_um=self.microscope.pixel_size_um,
            )
            for moment in find_moments(dockings, contents)
        ]
        sequences = read_sequences(
            self.movie,
            [place for place in placed if place is not None],
            spots,
            self.microscope,
            roles=roles,
            times_s=times_s,
            fading=self.fading,
            at_once=self.chemistry.dye.at_once,
        )
        neighbours = Neighbours(tracks, pixel_size_um=self.microscope.pixel_size_um, drift_um=drift_um)
        found = [_beside(place, verdict, neighbours) for place, verdict in self._judged(sequences, told)]
        return _each_once(found, dockings)

    def _with_uptakes(self, dockings: Sequence[Docking], found: Sequence[Verdict]) -> list[Verdict]:
        """Add a verdict, or change that of its end, for every docking that ended with an uptake."""
        ends = {verdict.docking: verdict for verdict in found if verdict.ends}
        others = [verdict for verdict in found if not verdict.ends]
        for number, docking in enumerate(dockings):
            if docking.end_told or docking.outcome == "detached" or (number in ends and ends[number].fate):
                continue
            probability = uptake_probability(docking, self.chemistry.uptake, self.settings)
            if probability >= self.settings.fate_min_probability:
                at = crossing(docking, self.settings)
                when = int(docking.track.frames[at]), float(docking.track.times_s[at])
                before = ends.get(number, _blank(number, *when))
                ends[number] = _decided(before, "taken_up", probability, *when)
        return [*others, *ends.values()]

    def _with_mergers(
        self, dockings: Sequence[Docking], found: Sequence[Verdict], tracks: Sequence[Track]
    ) -> list[Verdict]:
        """Add or change the verdict of every end at which two exosomes became one.

        What the light around the end says is overruled: the fates that it parts leave no partner that has
        become brighter by what was lost.
        """
        sigma_um = self.microscope.sigma_px * self.microscope.pixel_size_um
        mergers = Mergers(tracks, self.fading, sigma_um=sigma_um)
        ends = {verdict.docking: verdict for verdict in found if verdict.ends}
        others = [verdict for verdict in found if not verdict.ends]
        pairs: set[tuple[int, int]] = set()
        for number, docking in enumerate(dockings):
            if docking.end_told or docking.outcome in ("detached", "movie_end"):
                continue
            merger = mergers.find(docking)
            if merger is None or (merger.partner, docking.track.exosome_id) in pairs:
                continue
            if merger.probability >= self.settings.fate_min_probability:
                pairs.add((docking.track.exosome_id, merger.partner))
                when = merger.frame, merger.time_s
                before = ends.get(number, _blank(number, *when))
                decided = _decided(before, "aggregated", merger.probability, *when)
                ends[number] = replace(decided, heir=merger.heir)
        return [*others, *ends.values()]

    def _judged(
        self, sequences: Iterator[tuple[Place, dict[str, PatchSequence]]], told: Sequence[str]
    ) -> Iterator[tuple[Place, Verdict]]:
        """Yield the verdict of every moment, judged in batches; kinds not told count as unresolved."""
        pixel = self.microscope.pixel_size_um
        while batch := list(islice(sequences, BATCH)):
            examined = [examine(patches, self.chemistry.dye, pixel_size_um=pixel) for _, patches in batch]
            posteriors = weigh(
                examined, self.chemistry, shows=told, fusion_prior=self.settings.fusion_prior,
                pixel_size_um=pixel, network=self.network,
            )  # fmt: skip
            for (place, _), moment, posterior in zip(batch, examined, posteriors):
                if self.witness is not None:
                    self.witness(self, place, moment)
                yield place, self._decide(place, moment, posterior)

    def _decide(self, place: Place, examined: Examined, posterior: Posterior) -> Verdict:
        """Return what can be said of a moment."""
        patch, scenery, fits = examined.patches["exosome"], examined.scenery, examined.fits
        pixel = self.microscope.pixel_size_um
        fate, identifiable = call_fate(
            posterior, patch, scenery, self.chemistry, pixel_size_um=pixel, settings=self.settings
        )
        model = MODEL_OF.get(fate or "", posterior.best)
        content = examined.content
        timed = content["gone"] if fate == "kiss_and_run" and content is not None else fits[model]
        shown, frame = fate in MODEL_OF, _frame_before(patch, timed, place)
        return Verdict(
            docking=place.moment.docking,
            ends=place.moment.ends,
            frame=frame,
            time_s=float(patch.times_s[list(patch.frames).index(frame)]),
            posterior=posterior,
            fate=fate,
            identifiable=identifiable,
            estimates=estimate(patch, scenery, fits[model], pixel_size_um=pixel) if shown else {},
        )


def call_fate(
    posterior: Posterior,
    patch: PatchSequence,
    scenery: Scenery,
    chemistry: Chemistry,
    *,
    pixel_size_um: float,
    settings: EventSettings,
) -> tuple[str | None, bool]:
    """Return the fate that is likely enough and can be told here at all, and whether it can.

    Parameters
    ----------
    posterior : Posterior
    patch, scenery
        The exosome's channel: how much light there is, and how often it is seen.
    chemistry : Chemistry
    pixel_size_um : float
    settings : EventSettings

    Returns
    -------
    fate : str or None
        A key of `KINDS`.
    identifiable : bool
    """
    fate = max(KINDS, key=lambda name: posterior.fates[name])
    if posterior.fates[fate] < settings.fate_min_probability:
        return None, False
    if fate not in MODEL_OF:
        return fate, True
    view = View(
        photons=scenery.n,
        background=max(float(np.mean(scenery.levels[: patch.before])), 0.5),
        read_noise=patch.read_noise,
        sigma_px=patch.sigma_px,
        sigma_z_px=patch.sigma_z_px,
        pixel_size_um=pixel_size_um,
        interval_s=patch.interval_s,
        exposure_s=patch.exposure_s,
    )
    able = usual_auc(view, chemistry.dye, share=SPREADING[KINDS[fate]]) >= settings.identifiable_min_auc
    return (fate if able else None), able


def _frame_before(patch: PatchSequence, fit: Fit, place: Place) -> int:
    """Return the last frame before the change; without one, that of its last sign."""
    if not patch.times_s[0] <= fit.theta[START] <= patch.times_s[-1]:
        return int(patch.frames[int(np.searchsorted(patch.frames, place.moment.last))])
    at = int(np.searchsorted(patch.times_s, fit.theta[START], side="right")) - 1
    return int(patch.frames[max(at, 0)])


def _beside(place: Place, verdict: Verdict, neighbours: Neighbours) -> Verdict:
    """Return a verdict that stands in view of other exosomes nearby, and of what came after."""
    if place.moment.ends:
        return verdict
    return _undecided(verdict) if verdict.fate in WHOLE or neighbours.crowded(place) else verdict


def _undecided(verdict: Verdict) -> Verdict:
    """Return a verdict that says that it cannot be told, because other exosomes were in the way."""
    fates = dict.fromkeys(FATES, 0.0) | {"unresolved": 1.0}
    posterior = replace(verdict.posterior, fates=fates)
    return replace(verdict, posterior=posterior, fate=None, identifiable=False, estimates={})


def _blank(docking: int, frame: int, time_s: float) -> Verdict:
    """Return the verdict on an end of which the light says nothing."""
    return Verdict(docking, True, frame, time_s, UNTOLD, None, False)


def _decided(verdict: Verdict, fate: str, probability: float, frame: int, time_s: float) -> Verdict:
    """Return a verdict for a fate that the tracks show; the others share what is left."""
    fates = {name: (1 - probability) * share for name, share in verdict.posterior.fates.items()}
    fates[fate] += probability
    posterior = replace(verdict.posterior, fates=fates)
    return replace(
        verdict, posterior=posterior, fate=fate, identifiable=True, estimates={}, frame=frame, time_s=time_s
    )


def _each_once(verdicts: Sequence[Verdict], dockings: Sequence[Docking]) -> list[Verdict]:
    """Return the verdicts with every spread of dye called once: its glow may be taken for other exosomes."""
    spreading = [verdict for verdict in verdicts if verdict.fate in MODEL_OF]
    spreading.sort(key=lambda verdict: -verdict.posterior.fusion_log_likelihood_ratio)
    kept: list[Verdict] = []
    undone: set[int] = set()
    for verdict in spreading:
        if any(_same(verdict, other, dockings) for other in kept):
            undone.add(id(verdict))
        else:
            kept.append(verdict)
    return [_undecided(verdict) if id(verdict) in undone else verdict for verdict in verdicts]


def _same(one: Verdict, other: Verdict, dockings: Sequence[Docking]) -> bool:
    places = []
    for verdict in (one, other):
        track = dockings[verdict.docking].track
        at = min(int(np.searchsorted(track.frames, verdict.frame)), len(track) - 1)
        places.append(track.stage_um[at])
    near = float(np.hypot(*(places[0] - places[1]))) < GLOW_UM
    return near and abs(one.frame - other.frame) <= GLOW_FRAMES


def typical_view(spots: pd.DataFrame, microscope: Microscope, interval_s: float) -> View:
    """Return how the median spot is seen; `counts` and `background` in counts."""
    gain = microscope.photons_per_count
    return View(
        photons=max(float(spots["counts"].median()) * gain, 1.0),
        background=max(float(spots["background"].median()) * gain, 0.1),
        read_noise=microscope.read_noise_photons,
        sigma_px=microscope.sigma_px,
        sigma_z_px=microscope.sigma_z_px,
        pixel_size_um=microscope.pixel_size_um,
        interval_s=interval_s,
        exposure_s=microscope.exposure_s,
    )
