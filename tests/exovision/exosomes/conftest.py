"""Simulated spots of known place and brightness."""

from __future__ import annotations

import numpy as np
import pytest

from exovision.numerics.psf import render

SIGMA, BACKGROUND, READ, GAIN, OFFSET = 1.5, 6.1, 1.6, 0.46, 100.0


def photons_at(snr):
    """Photons of a spot with A / sqrt(A + b + r²) = snr."""
    noise = BACKGROUND + READ**2
    peak = (snr**2 + np.sqrt(snr**4 + 4 * snr**2 * noise)) / 2
    return peak * 2 * np.pi * SIGMA**2


def expose(rng, expected):
    electrons = rng.poisson(expected) + READ * rng.standard_normal(expected.shape)
    return np.round(electrons / GAIN + OFFSET).astype(np.float32)


@pytest.fixture(scope="session")
def grid_frames():
    """Frames of shape (4, 320, 320) with 225 isolated spots of SNR 4 each, and their places (4, 225, 2)."""
    rng = np.random.default_rng(5)
    corners = np.stack(np.meshgrid(np.arange(20, 301, 20), np.arange(20, 301, 20)), axis=-1).reshape(-1, 2)
    places = corners + rng.uniform(-3, 3, (4, *corners.shape))
    total = np.full(len(corners), photons_at(4))
    frames = [render((320, 320), *at.T, total, SIGMA) + BACKGROUND for at in places]
    return np.stack([expose(rng, frame) for frame in frames]), places


@pytest.fixture(scope="session")
def bright_spots():
    """Two frames of shape (256, 256) with 36 bright isolated spots each."""
    rng = np.random.default_rng(8)
    frames = []
    for _ in range(2):
        y, x = (
            part.ravel() + rng.uniform(-2, 2, 36) for part in np.mgrid[28:229:40, 28:229:40].astype(float)
        )
        frames.append(expose(rng, render((256, 256), y, x, np.full(36, 3000.0), SIGMA) + BACKGROUND))
    return np.stack(frames)
