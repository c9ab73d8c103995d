"""Exosomes found, placed and linked: exovision and its peers on the same frames, one thread each.

    python benchmarks/exosomes.py --out results
    python benchmarks/exosomes.py --parts linking growth --seeds 21 22 23

Parts: `grid` (SNR × density × background: F1, error over the Cramér–Rao bound, milliseconds a frame), `bound`
(errors and stated errors of isolated spots), `membrane` (spots of SNR 2 on membranes), `calibration`
(probabilities against what is true), `speed` (the cost of finding), `linking` (alpha, beta and JSC of the
Particle Tracking Challenge), `growth` (cost with density and length), `long` (memory of 5,000 spots a frame
over 1,000 frames). Times of finding are CPU-seconds, medians over the frames; those of linking are medians
over repeats. Every peer is shown with the best of several settings in each cell, chosen on the frames that
are scored; exovision has its defaults (`exosomes.fits: together`), and a row with `alone`. A peer not
installed is left out, and the run says so (`pip install exovision[benchmark]`). Tables go to standard output,
with a figure also to `--out`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from exosome_peers import detectors, linkers
from exosome_tables import markdown, write

from exovision.exosomes.detection import Detector
from exovision.exosomes.linking import link
from exovision.scoring.linking import score_linking
from exovision.scoring.scores import Metric
from exovision.scoring.spots import match_spots, score_spots
from exovision.settings import CameraSettings, ExosomeSettings
from exovision.simulation.spot_frames import SpotConditions, SpotFrames, spot_frames
from exovision.simulation.walks import WalkConditions, walks

OURS = "exovision"
FITS = ("together", "alone")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
PIXEL_UM, GATE_PX = 0.1, 6.0
SNRS, DENSITIES = (2.0, 4.0, 7.0), (100, 500, 1000)
BACKGROUNDS = {"flat": {"haze": 0.0}, "haze": {"haze": 0.4, "background": 10.0}}
MEMBRANES = {"snr": 2.0, "spots": 200, "membranes": 8}
MIXED = {"snr": 3.0, "spots": 300, "brightness_spread": 0.5, "membranes": 10, "blobs": 60, "haze": 0.3}
REPEATS = 5


def main() -> None:
    """Read the options, run the parts, print and write."""
    if any(os.environ.get(name) != "1" for name in THREADS):
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(sys.executable, [sys.executable, *sys.argv])
    cv2.setNumThreads(1)
    options = _options()
    if options.length:
        print(json.dumps(_memory(*options.length)))
        return
    found: dict[str, Any] = {}
    for part in options.parts:
        started = time.perf_counter()
        found[part] = PARTS[part](options)
        print(f"\n## {part} ({time.perf_counter() - started:.0f} s)\n{markdown(found[part])}", flush=True)
    for name in detectors()[1] + linkers()[1]:
        print(f"not installed, left out: {name}")
    if options.out:
        write(found, options.out)


# ---------------------------------------------------------------------------------------------- detection


def _detector(conditions: SpotConditions, images: Any, fits: str) -> Detector:
    """Return exovision's detector with its defaults, told what the peers are told: the PSF and the camera."""
    camera = conditions.camera
    detector = Detector(
        ExosomeSettings.model_validate({"psf_sigma_um": conditions.sigma_px * PIXEL_UM, "fits": fits}),
        CameraSettings(
            photons_per_count=camera.electrons_per_count,
            offset_counts=camera.offset_counts,
            read_noise_photons=camera.read_noise_electrons,
        ),
        pixel_size_um=PIXEL_UM,
    )
    detector.prepare(images[:8])
    return detector


def _score(frames: SpotFrames, spots: pd.DataFrame) -> dict[str, float]:
    scores = score_spots(match_spots(frames.truth, spots, frames.decoys), frames.decoys)
    return {name: value.value for name, value in scores.items() if isinstance(value, Metric)}


def _ours(
    frames: SpotFrames, conditions: SpotConditions, fits: str = FITS[0]
) -> tuple[pd.DataFrame, list[float]]:
    """Return all spots and the CPU-seconds of each frame."""
    images = frames.images.astype(np.float32)
    detector = _detector(conditions, images, fits)
    detector.detect(images[:1], range(1))
    tables, seconds = [], []
    for t in range(len(images)):
        started = time.process_time()
        tables.append(detector.detect(images[t : t + 1], range(t, t + 1)))
        seconds.append(time.process_time() - started)
    return pd.concat(tables, ignore_index=True), seconds


def _sure(spots: pd.DataFrame) -> pd.DataFrame:
    return spots[spots["probability"] >= ExosomeSettings().min_probability].reset_index(drop=True)


def _theirs(
    detect: Callable[..., Any], frames: SpotFrames, conditions: SpotConditions
) -> tuple[pd.DataFrame, list[float]]:
    camera = conditions.camera
    images = (frames.images - np.float32(camera.offset_counts)) * np.float32(camera.electrons_per_count)
    tables, seconds = [], []
    for t, image in enumerate(images):
        started = time.process_time()
        places = np.asarray(detect(image, conditions.sigma_px), dtype=np.float64)
        seconds.append(time.process_time() - started)
        tables.append(pd.DataFrame({"frame": t, "y_px": places[:, 0], "x_px": places[:, 1]}))
    return pd.concat(tables, ignore_index=True), seconds


def _everyone(
    conditions: SpotConditions, frames: int, seed: int, methods: Sequence[str] | None
) -> Iterator[dict[str, Any]]:
    """Yield two rows for exovision and one for each chosen peer at its best setting."""
    drawn = spot_frames(conditions, frames, seed=seed)
    for fits in FITS:
        spots, seconds = _ours(drawn, conditions, fits)
        yield _row(OURS, f"fits {fits}", _score(drawn, _sure(spots)), seconds)
    for name, settings in detectors()[0].items():
        if methods is not None and name not in methods:
            continue
        rows = []
        for setting, detect in settings.items():
            spots, seconds = _theirs(detect, drawn, conditions)
            rows.append(_row(name, setting, _score(drawn, spots), seconds))
        yield max(rows, key=lambda row: row["F1"])


def _row(name: str, setting: str, scores: dict[str, float], seconds: list[float]) -> dict[str, Any]:
    return {
        "method": name,
        "setting": setting,
        "F1": scores["spots.f1"],
        "precision": scores.get("spots.precision", np.nan),
        "recall": scores.get("spots.recall", np.nan),
        "RMSE/CRLB": scores.get("spots.rmse_over_crlb", np.nan),
        "RMSE px": scores.get("spots.rmse_px", np.nan),
        "ms/frame": 1000 * statistics.median(seconds),
    }


def grid(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Score everyone over SNR, density and background."""
    rows = []
    for background, changes in BACKGROUNDS.items():
        for snr in SNRS:
            for density in DENSITIES:
                conditions = replace(SpotConditions(), snr=snr, spots=density, **changes)
                cell = {"background": background, "SNR": snr, "per frame": density}
                found = _everyone(conditions, options.frames, options.seeds[0], options.methods)
                rows += [{**cell, **row} for row in found]
    return rows


def bound(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare the errors of isolated spots with the bound and with the stated errors."""
    rows = []
    for snr in SNRS:
        conditions = replace(SpotConditions(), snr=snr, spots=250)
        drawn = spot_frames(conditions, 8 * options.frames, seed=options.seeds[0] + 1)
        scores = _score(drawn, _sure(_ours(drawn, conditions)[0]))
        spots = int(drawn.truth["isolated"].sum())
        rows.append(
            {
                "SNR": snr,
                "isolated spots": spots,
                "RMSE/CRLB": scores["spots.rmse_over_crlb"],
                "error over stated error, rms": scores["spots.z_rms"],
            }
        )
    return rows


def membrane(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Score everyone on spots of SNR 2 that all lie on membranes."""
    conditions, seed = replace(SpotConditions(), **MEMBRANES), options.seeds[0] + 2
    return list(_everyone(conditions, 2 * options.frames, seed, options.methods))


def speed(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time everyone at SNR 4 and 500 spots per frame."""
    conditions = replace(SpotConditions(), snr=4.0, spots=500)
    return list(_everyone(conditions, 5 * options.frames, options.seeds[0], options.methods))


def calibration(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Compare stated probabilities with the share of true spots, among membranes, haze and look-alikes."""
    conditions = replace(SpotConditions(), **MIXED)
    drawn = spot_frames(conditions, 4 * options.frames, seed=options.seeds[0] + 3)
    spots, _ = _ours(drawn, conditions)
    match = match_spots(drawn.truth, spots, drawn.decoys)
    counts = match.verdict != "forgiven"
    probability, hit = spots["probability"].to_numpy()[counts], (match.verdict == "hit")[counts]
    bins = np.minimum((probability * 10).astype(int), 9)
    rows = [
        {
            "stated": probability[bins == b].mean(),
            "true": hit[bins == b].mean(),
            "spots": int((bins == b).sum()),
        }
        for b in np.unique(bins)
    ]
    error = sum(row["spots"] * abs(row["stated"] - row["true"]) for row in rows) / len(hit)
    return [*rows, {"stated": np.nan, "true": np.nan, "spots": len(hit), "expected calibration error": error}]


# ---------------------------------------------------------------------------------------------- linking


def _our_link(spots: pd.DataFrame, reach: float) -> Any:
    settings = ExosomeSettings(max_step_um=reach * PIXEL_UM)
    times = np.arange(float(spots["frame"].max()) + 1)
    return link(spots, times_s=times, drift_px=None, pixel_size_um=PIXEL_UM, settings=settings)


def _with_ids(spots: pd.DataFrame, tracks: Any) -> pd.DataFrame:
    """Give spots ids; tracks of fewer than three spots are none, for everyone alike."""
    tracks = pd.Series(tracks).astype("Int64")
    tracks = tracks.mask(tracks < 0) + 1
    enough = tracks.map(tracks.value_counts()) >= ExosomeSettings().min_track_spots
    return spots.assign(exosome_id=tracks.where(enough.fillna(False)).to_numpy())


def _timed(do: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    seconds, found = [], None
    for _ in range(repeats):
        started = time.perf_counter()
        found = do()
        seconds.append(time.perf_counter() - started)
    return found, statistics.median(seconds)


def _link_row(name: str, setting: str, do: Callable[..., Any], seen: Any, repeats: int) -> dict[str, Any]:
    tracks, seconds = _timed(lambda: do(seen.spots, GATE_PX), repeats)
    spots = _with_ids(seen.spots, tracks)
    scores = score_linking(match_spots(seen.truth, spots))
    values = {key.split(".")[1]: value.value for key, value in scores.items() if isinstance(value, Metric)}
    return {
        "method": name,
        "setting": setting,
        **{key: values[key] for key in ("alpha", "beta", "jsc", "purity", "pairs")},
        "ms/frame": 1000 * seconds / seen.spots["frame"].nunique(),
        "timed": repeats,
    }


def linking(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Score everyone's tracks on the same detections of mixed motion, averaged over the seeds."""
    _our_link(walks(WalkConditions(frames=5), seed=0).spots, GATE_PX)
    rows = []
    for scene, changes in {"hard": {}, "moderate": MODERATE}.items():
        for seed in options.seeds:
            seen = walks(replace(WalkConditions(), **changes), seed=seed)
            found = [_link_row(OURS, "defaults", _our_link, seen, REPEATS)]
            for name, settings in linkers()[0].items():
                slow = name == "laptrack"
                if slow and (seed != options.seeds[0] or scene == "hard"):
                    continue
                found += [_link_row(name, s, do, seen, 1 if slow else REPEATS) for s, do in settings.items()]
            rows += [{"scene": scene, "seed": seed, **row} for row in found]
    table = pd.DataFrame(rows).groupby(["scene", "method", "setting"], as_index=False).mean(numeric_only=True)
    return [dict(row) for row in table.drop(columns="seed").to_dict("records")]


MODERATE = {"step_px": 0.9, "speed_px": 1.5, "life_frames": 25.0, "snr": 5.0, "snr_spread": 0.3}


def growth(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure how the cost of finding and linking grows with density and with length."""
    rows = []
    for density in (250, 500, 1000, 2000):
        conditions = replace(SpotConditions(), spots=density)
        _, seconds = _ours(spot_frames(conditions, REPEATS, seed=options.seeds[0]), conditions)
        rows.append(
            {"what": "finding", "per frame": density, "frames": 1, OURS: 1000 * statistics.median(seconds)}
        )
    peers = {name: settings for name, settings in linkers()[0].items() if name != "laptrack"}
    sizes = [(d, 30) for d in (250, 500, 1000, 2000, 5000)] + [(500, n) for n in (60, 120, 240)]
    for density, frames in sizes:
        side = 512 if density < 5000 else 1024
        conditions = WalkConditions(exosomes=density, frames=frames, shape_px=(side, side))
        spots = walks(conditions, seed=options.seeds[0]).spots
        row = {"what": "linking", "per frame": density, "frames": frames}
        methods = {
            OURS: _our_link,
            **{name: next(iter(settings.values())) for name, settings in peers.items()},
        }
        rows.append({**row, **{name: _link_ms(do, spots) for name, do in methods.items()}})
    return rows


def _link_ms(do: Callable[..., Any], spots: pd.DataFrame) -> float | str:
    """Return milliseconds per frame, or the name of the error with which a linker gives up."""
    try:
        seconds = _timed(lambda: do(spots, GATE_PX), REPEATS)[1]
    except Exception as error:
        return type(error).__name__
    return 1000 * seconds / spots["frame"].nunique()


def long(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Link movies of 5,000 spots a frame, each in a process of its own, and compare their memory."""
    rows = []
    for frames in (100, 1000):
        command = [sys.executable, __file__, "--length", "5000", str(frames)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return rows


def _memory(density: int, frames: int) -> dict[str, Any]:
    """Link frames of walks that are repeated to and fro; return the memory above the table, at most.

    The peak is that of the whole process, the making of the table included.
    """
    base = walks(WalkConditions(exosomes=density, frames=50, shape_px=(1024, 1024)), seed=1).spots
    by_frame = [rows for _, rows in base.groupby("frame")]
    order = [*range(50), *range(48, 0, -1)]
    pieces = [by_frame[order[t % 98]].assign(frame=t) for t in range(frames)]
    spots = pd.concat(pieces, ignore_index=True)
    del pieces, by_frame, base
    _our_link(spots.iloc[: 3 * density], GATE_PX)
    before = _resident_gb()
    started = time.perf_counter()
    tracks = _our_link(spots, GATE_PX)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "per frame": density,
        "frames": frames,
        "spots": len(spots),
        "tracks": int(tracks.max()),
        "ms/frame": 1000 * (time.perf_counter() - started) / frames,
        "table, GB": float(spots.memory_usage().sum()) / 2**30,
        "above the table, at most, GB": peak - before,
    }


def _resident_gb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**30


PARTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    part.__name__: part for part in (grid, bound, membrane, calibration, linking, growth, long, speed)
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[21, 22, 23], help="the first one for finding"
    )
    parser.add_argument("--frames", type=int, default=5, help="per cell of the grid")
    parser.add_argument("--methods", nargs="*", help="peers that find spots; all if omitted")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--length", type=int, nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
