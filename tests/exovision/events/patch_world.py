"""Patch sequences from first principles: single dye molecules that leave a vesicle and walk in a membrane."""

from __future__ import annotations

import numpy as np
from scipy.special import erf

from exovision.events.sequences import PatchSequence

PIXEL_UM, SIGMA_PX, SIGMA_Z_PX, READ, EXPOSURE_S = 0.108, 1.2, 0.35 / 0.108, 1.6, 0.05
SIZE = 17
GRID = np.arange(SIZE) - SIZE // 2


def spot(y, x, total, sigma=SIGMA_PX):
    """A point seen through the PSF, integrated over pixels."""
    rows, columns = (
        np.diff(0.5 * erf((np.append(GRID, GRID[-1] + 1) - 0.5 - c) / (np.sqrt(2) * sigma))) for c in (y, x)
    )
    return total * np.outer(rows, columns)


def walkers(rng, n, ages_s, diffusion_um2_s, edge):
    """Dye molecules after a walk of their own age: places in px and the light that the focal slice takes."""
    steps = rng.normal(0, np.sqrt(2 * diffusion_um2_s * ages_s)[:, None], (n, 2)) / PIXEL_UM
    if not edge:
        return steps, np.ones(n)
    along = np.stack([np.zeros(n), steps[:, 1]], axis=1)
    return along, np.exp(-((steps[:, 0] / SIGMA_Z_PX) ** 2) / 2)


def make_patch(
    rng,
    kind,
    *,
    photons=300.0,
    background=8.0,
    interval_s=0.1,
    diffusion_um2_s=0.5,
    gain=2.0,
    release_s=0.2,
    share=1.0,
    edge=False,
    frames=(12, 10),
    molecules=4000,
):
    """A vesicle that at a time between the last two frames before 0 `stays`, is `gone`, `defocuses`,
    `brightens`, or lets a share of its dye into the membrane (`spreads`)."""
    before, after = frames
    times = np.arange(-before, after) * interval_s
    start = -rng.uniform(0.05, 0.95) * interval_s
    place = rng.uniform(-0.4, 0.4, 2)
    left_at = start + rng.exponential(release_s, molecules)
    leaves = rng.random(molecules) < share
    images = np.full((len(times), SIZE, SIZE), float(background))
    moments = EXPOSURE_S * (np.arange(4) + 0.5) / 4
    for image, time in zip(images, times):
        for moment in time + moments - EXPOSURE_S / 2:
            image += _light(
                rng, kind, moment, start, place, photons / 4, (left_at, leaves), diffusion_um2_s, gain, edge
            )
    counted = rng.poisson(images) + rng.normal(0, READ, images.shape)
    return PatchSequence(
        photons=counted.astype(np.float64),
        mask=np.ones_like(images),
        frames=np.arange(len(times)),
        times_s=times,
        centres_px=place + rng.normal(0, 0.05, (len(times), 2)),
        fade=np.ones(len(times)),
        normal=np.array([1.0, 0.0]),
        sigma_px=SIGMA_PX,
        sigma_z_px=SIGMA_Z_PX,
        read_noise=READ,
        exposure_s=EXPOSURE_S,
        before=before - 4,
        latest=before + 2,
    )


def _light(rng, kind, moment, start, place, photons, dye, diffusion_um2_s, gain, edge):
    age = moment - start
    if kind == "stays" or age <= 0:
        return spot(*place, photons)
    if kind == "gone":
        return np.zeros((SIZE, SIZE))
    if kind == "defocuses":
        return spot(*place, photons, SIGMA_PX * np.sqrt(1 + (0.3 * age / 0.35) ** 2))
    if kind == "brightens":
        return spot(*place, 2.5 * photons)
    left_at, leaves = dye
    out = leaves & (left_at < moment)
    kept = 1 - out.mean()
    image = spot(*place, photons * kept * (gain - (gain - 1) * kept))
    offsets, light = walkers(rng, int(out.sum()), moment - left_at[out], diffusion_um2_s, edge)
    edges = np.append(GRID, GRID[-1] + 1) - 0.5
    at = place + offsets + rng.normal(0, SIGMA_PX, offsets.shape) * np.array([1.0, 1.0])
    drawn, _, _ = np.histogram2d(at[:, 0], at[:, 1], bins=(edges, edges), weights=light)
    return image + photons * gain * drawn / len(left_at)
