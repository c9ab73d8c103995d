"""Crops of simulated cells that live, divide and die, in every look and stain, with their true states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exovision.death.crops import ROLES, cut, typical_sizes
from exovision.progress import Progress, silent
from exovision.simulation.lives import Life
from exovision.simulation.movie import simulate
from exovision.simulation.scene import Cells, Deaths, Divisions, Exosomes, Imaging, Scene
from exovision.training.labelled_crops import LabelledCrops

STATES = {
    "early_apoptotic": "apoptotic",
    "late_apoptotic": "apoptotic",
    "secondary_necrotic": "apoptotic",
    "live": "live",
    "mitotic": "mitotic",
    "lytic": "lytic",
    "debris": "debris",
}
"""What each state of the contract looks like to the network."""
LIVE_SHARE = 0.5
"""Share of the live cells that is kept: there are plenty."""
BARELY = 0.15
"""A cell that has come less far in dying looks alive; it is no example of either."""
FIELD_UM, FRAMES, INTERVAL_S, COUNT = 110.0, 14, 1200.0, 22
MOVIE = "simulated"


def simulated_crops(seed: int, movies: int, progress: Progress = silent) -> LabelledCrops:
    """Simulate movies and cut crops of their cells; movie i depends on the seed and i alone.

    Parameters
    ----------
    seed : int
    movies : int
        Short movies, each in another look, magnification and light.
    progress : Progress
        Called after every movie; may raise `Cancelled`.

    Returns
    -------
    LabelledCrops
        With all channels; `movies` are named `simulated_0`, ….
    """
    crops, labels, names = [], [], []
    for k in range(movies):
        rng = np.random.default_rng([seed, k])
        images, states = _movie_crops(_scene(rng), int(rng.integers(1 << 31)), rng)
        crops.append(images)
        labels += states
        names += [f"{MOVIE}_{k}"] * len(states)
        progress("simulating", k + 1, movies)
    return LabelledCrops(np.concatenate(crops), np.array(labels), np.array(names))


def _scene(rng: np.random.Generator) -> Scene:
    """Draw what is filmed: cells of one kind, one stain of bodies, and all stains of nuclei and death."""
    preset = str(rng.choice(["tumour", "tumour", "lymphocyte"]))
    radius_um = float(rng.uniform(6, 11) if preset == "tumour" else rng.uniform(3.5, 5.5))
    field_um = FIELD_UM * radius_um / 8
    pixel_um = float(np.exp(rng.uniform(np.log(0.15), np.log(0.65)))) * radius_um / 8
    side = int(field_um / pixel_um)
    look = str(rng.choice(["membrane", "cytoplasm", "phase"]))

    def light(least: float, most: float) -> float:
        return float(np.exp(rng.uniform(np.log(least), np.log(most))))

    return Scene(
        name=MOVIE,
        imaging=Imaging(
            shape_px=(side, side),
            frames=FRAMES,
            frame_interval_s=INTERVAL_S,
            pixel_size_um=pixel_um,
            psf_sigma_um=float(rng.uniform(0.13, 0.45)) * radius_um / 8,
            drift_um_min=0.0,
            exosome_channel=False,
        ),
        cells=Cells(
            preset=preset,
            radius_um=radius_um,
            count=COUNT,
            margin_radii=0.0,
            look=look,
            photons=light(150, 600) if look == "phase" else light(15, 250),
            background_photons=light(2, 20),
            nucleus_photons=light(15, 250),
            annexin_photons=light(20, 200),
            caspase_photons=light(20, 200),
            pi_photons=light(20, 300),
        ),
        exosomes=Exosomes(
            dockings_per_cell_hour=0,
            free_per_um2=0,
            stuck_per_um2=0,
            dye_per_um2=0,
            tethered_per_cell_hour=0,
            beneath_per_cell=0,
        ),
        deaths=Deaths(
            per_cell_hour=0.4,
            lytic_share=0.35,
            execution_min=float(rng.uniform(30, 60)),
            area_loss=float(rng.uniform(0.25, 0.5)),
            nucleus_loss=float(rng.uniform(0.35, 0.6)),
            nucleus_gain=float(rng.uniform(1.5, 2.5)),
            swelling=float(rng.uniform(0.2, 0.5)),
            swelling_min=15.0,
            remains_h=1.5,
            pi_pulses_per_cell_hour=0.1,
            annexin_vesicles_per_cell=float(rng.uniform(0, 5)),
        ),
        divisions=Divisions(cycle_h=8.0),
    )


def _movie_crops(scene: Scene, seed: int, rng: np.random.Generator) -> tuple[NDArray[np.float16], list[str]]:
    simulation = simulate(scene, seed=seed)
    lives = simulation.history.lives if simulation.history is not None else []
    sizes, crops, states = None, [], []
    for frame, backdrop in enumerate(simulation.backdrops()):
        images = {role: backdrop.images[role].astype(np.float32) for role in simulation.roles}
        sizes = sizes or typical_sizes(backdrop.labels, images["nucleus"], labelled="cell")
        if sizes is None:
            continue
        ids, found = cut(backdrop.labels, images, sizes=sizes, roles=ROLES)
        told = [_told(lives[one - 1], frame * scene.imaging.frame_interval_s) for one in ids]
        kept = [k for k, state in enumerate(told) if state and (state != "live" or rng.random() < LIVE_SHARE)]
        crops.append(found[kept].astype(np.float16))
        states += [told[k] for k in kept]
    return np.concatenate(crops), states


def _told(life: Life, time_s: float) -> str:
    """Return the state that a cell's looks tell, empty where they cannot yet."""
    state = life.state(time_s)
    if state is None or (np.isfinite(life.onset_s) and 0 <= _part(life, time_s) < BARELY):
        return ""
    return STATES[state]


def _part(life: Life, time_s: float) -> float:
    """Return how far a cell has come in dying, negative before its onset."""
    return (time_s - life.onset_s) / life.execution_s
