"""Moments at which the analysis judged a fate in simulated movies, with what truly happened there."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.events.examples import FRAMES_AFTER, FRAMES_BEFORE, ROLES, SIZE_PX, Examined, picture
from exovision.events.judge import Judge
from exovision.events.patches import Moment, Place
from exovision.events.weighing import REST, model_ratio
from exovision.io.labels_source import open_labels
from exovision.io.movies import read
from exovision.pipeline import reanalyse
from exovision.records import Given, LabelStack, Movie
from exovision.scoring.folders import load
from exovision.scoring.point_events import near_events
from exovision.scoring.spots import match_spots
from exovision.settings import Settings
from exovision.simulation.movie import simulate, write
from exovision.simulation.scene import Cells, Exosomes, Fates, Imaging, Labels, Scene
from exovision.training.event_examples import EventExamples

CHEMISTRY_NAMES = ("lipid_dye", "lipid_dye", "dual", "phluorin", "protein_tag")
CLASS_OF = {"fusion": "fused", "hemifusion": "hemifused", "kiss_and_run": "kiss_and_run"}
FRAMES, WIDTH_PX, CELLS = 180, 224, 3
DWELL_FRAMES = 50.0
ARRIVALS = 1.2
"""Dockings per cell and second at ten frames a second."""
BACKWARDS = 0.2
"""Share of the movies that run backwards: nothing fuses in them, whatever it looks like."""
EARLY, LATE, STEP = 10, 4, 3
"""A moment may be about what happened so many frames before its first sign, as long as what is left of a
vesicle may still be seen, or after its last."""


class Recorder:
    """Keeps what an analysis saw at every moment that it judged."""

    def __init__(self) -> None:
        self.pictures: list[NDArray[np.float16]] = []
        self.moments: list[Moment] = []
        self.ratios: list[float] = []

    def __call__(self, judge: Judge, place: Place, examined: Examined) -> None:
        """Keep one moment."""
        seen = picture(examined, judge.chemistry.dye, pixel_size_um=judge.microscope.pixel_size_um)
        self.pictures.append(seen.astype(np.float16))
        self.moments.append(place.moment)
        self.ratios.append(model_ratio(examined))

    def examples(self, classes: NDArray[np.str_], group: str) -> EventExamples:
        """Return the moments, of classes (N,), as examples of one group."""
        frames = len(ROLES) * (FRAMES_BEFORE + FRAMES_AFTER) + 1
        pictures = np.array(self.pictures, dtype=np.float16).reshape(-1, frames, SIZE_PX, SIZE_PX)
        return EventExamples(pictures, classes, np.array(self.ratios), np.full(len(classes), group))


def movie_moments(rng: np.random.Generator, group: str) -> EventExamples:
    """Simulate and analyse one movie.

    Parameters
    ----------
    rng : numpy.random.Generator
    group : str
        Name of the movie.

    Returns
    -------
    EventExamples
    """
    scene = _scene(rng)
    name = scene.exosomes.labels.chemistry
    backwards = bool(rng.random() < BACKWARDS)
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(simulate(scene, seed=int(rng.integers(1 << 31))), folder)
        movie = replace(read(folder / "movie.ome.tif"), facts={"chemistry": name})
        labels: LabelStack = open_labels(folder / "truth" / "cell_labels.ome.tif", movie)
        if backwards:
            movie, labels = _backwards(movie), [labels[t] for t in reversed(range(len(labels)))]
        result = reanalyse(movie, Settings(), Given(labels=labels, witness=recorder), device="cpu")
        classes = np.full(len(recorder.moments), REST, dtype="<U16")
        if not backwards:
            classes = _classes(recorder.moments, load(folder / "truth").tables, result.spots)
        movie.source.close()
    return recorder.examples(classes, group)


def _scene(rng: np.random.Generator) -> Scene:
    """Draw a burst of one labelling, timing and light, in which much happens to docked exosomes."""
    interval_s = float(np.exp(rng.uniform(np.log(0.05), np.log(1.0))))
    name = str(rng.choice(CHEMISTRY_NAMES))
    fusing = float(rng.choice([0.3, 1.5, 4.0]))
    rate = 3600 * ARRIVALS * 0.1 / interval_s
    return Scene(
        name="moments",
        imaging=Imaging(
            shape_px=(WIDTH_PX, WIDTH_PX),
            frames=FRAMES,
            frame_interval_s=interval_s,
            exposure_s=0.04,
            background_photons=float(np.exp(rng.uniform(np.log(3), np.log(20)))),
            drift_um_min=0.02,
        ),
        cells=Cells(count=CELLS, margin_radii=0.1, lysosomes_per_cell=2),
        exosomes=Exosomes(
            photons_median=float(np.exp(rng.uniform(np.log(150), np.log(500)))),
            photons_gsd=1.5,
            bleach_tau_frames=float(np.exp(rng.uniform(np.log(300), np.log(3000)))),
            free_per_um2=0.005,
            stuck_per_um2=0.003,
            dye_per_um2=0.001,
            dockings_per_cell_hour=rate,
            dwell_short_share=0.2,
            dwell_short_s=20 * interval_s,
            dwell_long_s=DWELL_FRAMES * interval_s,
            dwell_long_gsd=1.6,
            tethered_per_cell_hour=0.15 * rate,
            tethered_mean_s=20 * interval_s,
            beneath_per_cell=0.5,
            surfing_share=0.1,
            recycled_per_cell_hour=0.03 * rate,
            flat_share=float(rng.choice([0.0, 0.0, 0.3])),
            fates=Fates(
                detached=0.2,
                bleached=0.15,
                left_focus=0.1,
                fused=0.4 * fusing,
                hemifused=0.15 * fusing,
                kiss_and_run=0.1 * fusing,
                taken_up=0.1,
                aggregated=0.1,
            ),
            labels=Labels(
                chemistry=name,
                lipid_diffusion_um2_s=(0.15, 2.0),
                protein_diffusion_um2_s=(0.05, 0.4),
                quench=(0.0, 0.85),
                release_tau_s=(0.02, 3.0),
                uptake_speed_um_s=(0.1, 0.3),
            ),
        ),
    )


def _backwards(movie: Movie) -> Movie:
    channels = range(len(movie.channel_names))
    pixels = [[movie.source.plane(t, c, 0) for c in channels] for t in reversed(range(movie.n_frames))]
    reverse = Movie.from_array(
        np.array(pixels),
        pixel_size_um=movie.pixel_size_um,
        frame_interval_s=float(np.median(np.diff(movie.times_s[:, 0]))),
        channels=dict(movie.roles),
        name=movie.name,
    )
    return replace(reverse, facts=movie.facts)


def _classes(
    moments: Sequence[Moment], truth: Mapping[str, pd.DataFrame], spots: pd.DataFrame
) -> NDArray[np.str_]:
    """Return what happened at each moment: a true fate of its exosome at about that time, else the rest."""
    classes = np.full(len(moments), REST, dtype="<U16")
    true = truth["events"]
    true = true[true["kind"].isin(list(CLASS_OF)).to_numpy(dtype=bool)].reset_index(drop=True)
    frames = [range(m.first - EARLY, m.last + LATE + 1, STEP) for m in moments]
    tried = pd.DataFrame(
        [(i, m.track.exosome_id, t) for i, m in enumerate(moments) for t in frames[i]],
        columns=["moment", "exosome_id", "start_frame"],
    )
    if not len(true) or not len(tried):
        return classes
    near = near_events(true, tried, match_spots(truth["spots"], spots))
    near = near.sort_values("apart", ascending=False)
    kinds = true["kind"].to_numpy(dtype=str)[near["truth_row"]]
    classes[tried["moment"].to_numpy()[near["result_row"]]] = [CLASS_OF[kind] for kind in kinds]
    return classes
