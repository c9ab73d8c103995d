"""Fates of docked exosomes: exovision and two simple programs on the same movies, and the best possible.

    python benchmarks/events.py --seeds 601 602 603
    python benchmarks/events.py --parts scenes --scenes fusion fusion_slow --seeds 601 --given-labels
    python benchmarks/events.py --parts nulls reversed --seeds 601 602

Parts: `scenes` (each scene simulated, analysed, scored as `exovision score` does; beside it "a track that
ends near a membrane is a fusion", a logistic regression on the intensity trace alone, and the models of the
light without the network of fates; and the area under the curve of fusion against other losses, beside that
of an observer who knows all but which it was), `nulls` (calls per cell and hour where nothing docks, where
all vesicles are stuck or dye, and where the cells are those of another movie), `reversed` (movies run
backwards must show no fusion), `grid` (the trace classifier beside the ideal observer over diffusion, gain,
interval and photons, on single events). Tables go to standard output, and as JSON to `--out`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
import yaml
from event_baselines import (
    TraceClassifier,
    area_under_curve,
    as_events,
    ended_traces,
    movie_traces,
    onsets,
    track_ends,
)

import exovision
from exovision.io.labels_source import open_labels
from exovision.io.tables import write_json
from exovision.pipeline import reanalyse
from exovision.records import Given, Movie
from exovision.scoring.folders import Folder, load
from exovision.scoring.point_events import counts_in_full, near_events
from exovision.scoring.pooling import pool
from exovision.scoring.score import score_pool
from exovision.scoring.scores import Metric, Scores, rate
from exovision.scoring.spots import match_spots
from exovision.simulation.event_patches import event_patches
from exovision.simulation.fates import Course
from exovision.simulation.identifiable import View, fate_auc
from exovision.simulation.movie import simulate, write
from exovision.simulation.release import Optics, Release
from exovision.simulation.scene import Labels, Scene, load_scene
from exovision.simulation.single_events import PatchConditions

PARTS = ("scenes", "nulls", "reversed", "grid")
SCENES = ("fusion", "fates", "fusion_flat", "fusion_slow", "dual", "phluorin")
NULLS = ("null", "stuck", "dye_only", "shuffled")
TRAINING_SEED, GRID_SEED = 801, 802
LOSSES = ("fusion", "hemifusion", "kiss_and_run", "detachment", "loss_unresolved", "uptake")
SIMPLER = ("models alone", "track end = fusion", "trace only")
SHOWN = ("precision", "recall", "false_per_cell_h")
WHOLE = (
    *("docking.f1", "docking.dwell_bias", "loss.unresolved_where_not_identifiable"),
    *("fusion.precision_at_1_to_4", "fusion.precision_at_1_to_100"),
    *(
        f"coverage.{name}"
        for name in ("diffusion_um2_s", "dequench_gain", "release_tau_s", "spread_fraction")
    ),
)
GRID = {
    "diffusion_um2_s": (0.15, 1.0),
    "gain": (1.0, 3.0),
    "frame_interval_s": (0.1, 1.0, 5.0),
    "photons": (200.0,),
}


def main() -> None:
    """Read the options, run the parts, print and write."""
    options = _options()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(options.work or scratch)
        parts = {"scenes": _scenes, "nulls": _nulls, "reversed": _reversed, "grid": _grid}
        for part in options.parts:
            found[part] = parts[part](options, work)
    if options.out:
        write_json(found, options.out)


def _made(scene: Scene, seed: int, work: Path) -> Path:
    """Return the folder of a simulated movie, made unless it is there."""
    folder = work / "truth" / f"{scene.name}_{seed}"
    if not (folder / "truth" / "scene.yaml").is_file():
        write(simulate(scene, seed=seed), folder)
    return folder


def _analysed(
    movie: Movie, labels: str | None, out: Path, options: argparse.Namespace
) -> tuple[exovision.Result, float]:
    own = {name: getattr(options, name) for name in ("weights", "network", "fusion_prior")}
    settings = exovision.Settings.from_mapping({"events": {k: v for k, v in own.items() if v is not None}})
    started = time.process_time()
    given = open_labels(labels, movie) if labels else None
    result = exovision.analyse(movie, settings, labels=given, device="cpu")
    seconds = time.process_time() - started
    result.save(out)
    return result, seconds


def _without_network(movie: Movie, result: exovision.Result) -> pd.DataFrame:
    """Return the events that the models of the light find alone, in the same spots, tracks and cells."""
    events = result.settings.events.model_copy(update={"network": "none"})
    settings = result.settings.model_copy(update={"events": events})
    given = Given(labels=result.labels, spots=result.spots)
    return reanalyse(movie, settings, given, device="cpu").events


def _read(folder: Path) -> Movie:
    facts = yaml.safe_load((folder / "truth" / "scene.yaml").read_text(encoding="utf-8"))
    chemistry = facts["exosomes"]["labels"]["chemistry"]
    return replace(exovision.read(folder / "movie.ome.tif"), facts={"chemistry": chemistry})


def _scenes(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    found = {}
    for name in options.scenes:
        scene = load_scene(name)
        programs: dict[str, list[Any]] = {title: [] for title in ("exovision", *SIMPLER)}
        cpu_s, judged, ideal = 0.0, 0, []
        ranked: dict[str, list[Any]] = {title: [] for title in programs if title != SIMPLER[1]}
        classifier = TraceClassifier.train(_conditions(scene), seed=TRAINING_SEED)
        for seed in options.seeds:
            folder = _made(scene, seed, work)
            labels = str(folder / "truth" / "cell_labels.ome.tif") if options.given_labels else None
            movie = _read(folder)
            result, seconds = _analysed(movie, labels, work / "result" / folder.name, options)
            cpu_s, judged = cpu_s + seconds, judged + len(result.events)
            mine, truth = load(work / "result" / folder.name), load(folder / "truth")
            programs["exovision"].append((mine, truth))
            alone = _without_network(movie, result)
            ends = track_ends(result.spots, movie.n_frames)
            simple = as_events(ends, np.full(len(ends), "fusion"))
            trace, inside = movie_traces(movie, ends)
            likely = np.where(inside, classifier.probability(trace), 0.0)
            began = onsets(trace, ends["frame"].to_numpy(dtype=np.int64))
            ends = ends.assign(frame=np.where(inside, began, ends["frame"]))
            traced = as_events(ends, np.where(likely > 0.5, "fusion", "loss_unresolved"))
            for title, events in zip(SIMPLER, (alone, simple, traced)):
                programs[title].append((replace(mine, tables={**mine.tables, "events": events}), truth))
            ideal += _ideal_aucs(truth.tables["events"], truth.tables["spots"], scene)
            for title, events in (
                ("exovision", result.events),
                ("models alone", alone),
                ("trace only", traced.assign(p_fused=likely)),
            ):
                ranked[title].append(_ranked(truth, result.spots, events))
        scores = {title: score_pool(pool(pairs)) for title, pairs in programs.items()}
        areas = {title: area_under_curve(*map(np.concatenate, zip(*rows))) for title, rows in ranked.items()}
        found[name] = _report(name, scores, ideal, areas, 1000 * cpu_s / max(judged, 1))
    return found


def _conditions(scene: Scene) -> PatchConditions:
    """Return the single events that are like those of a scene."""
    imaging, vesicles = scene.imaging, scene.exosomes
    return PatchConditions(
        labels=vesicles.labels,
        shares={"fused": 1.0, "hemifused": 0.5, "leaving": 1.0, "bleached": 1.5, "left_focus": 1.0},
        frame_interval_s=(imaging.frame_interval_s, imaging.frame_interval_s),
        exposure_s=imaging.exposure_s,
        photons=(vesicles.photons_median / 2, vesicles.photons_median * 2),
        background_photons=(imaging.background_photons / 1.5, imaging.background_photons * 1.5),
        flat_share=vesicles.flat_share,
    )


def _ideal_aucs(events: pd.DataFrame, spots: pd.DataFrame, scene: Scene) -> list[float]:
    """Return the ideal observer's area under the curve, fusion against disappearance, of each true fusion."""
    imaging, camera = scene.imaging, scene.camera
    optics = Optics(imaging.pixel_size_um, imaging.psf_sigma_um, imaging.psf_sigma_z_um, imaging.exposure_s)
    times = np.arange(imaging.frames) * imaging.frame_interval_s
    light = spots.set_index(["exosome_id", "frame"])
    found = []
    for _, row in events[events["kind"] == "fusion"].iterrows():
        seen = light.loc[(row["exosome_id"], row["start_frame"])]
        release = Release(
            float(row["diffusion_um2_s"]),
            1 - 1 / float(row["dequench_gain"]),
            float(row["release_tau_s"]),
            at_once=scene.exosomes.labels.chemistry == "phluorin",
        )
        view = View(
            optics=optics,
            ages_s=times[times > row["start_s"]] - row["start_s"],
            electrons={"exosome": float(seen["photons"]), "content": float(seen["photons"])},
            background=dict.fromkeys(
                ("exosome", "content"), float(seen["background"]) * camera.electrons_per_count
            ),
            read_noise=camera.read_noise_electrons,
            flat=scene.exosomes.flat_share > 0,
        )
        labels = scene.exosomes.labels.model_copy(update={"chemistry": "lipid_dye"})
        if view.ages_s.size:
            found.append(fate_auc("fused", "bleached", Course({"exosome": release}), labels, view))
    return found


def _ranked(truth: Folder, spots: pd.DataFrame, events: pd.DataFrame) -> tuple[Any, Any]:
    """Return how likely a fusion the program held each true loss, 0 where it saw none, and which are."""
    true = truth.tables["events"]
    fused = (true["kind"] == "fusion").to_numpy(dtype=bool)
    asked = true["kind"].isin(LOSSES).to_numpy() & (counts_in_full(true) | ~fused)
    asked &= ~true["optional"].fillna(False).to_numpy(dtype=bool)
    events = events[(events["kind"] != "docking").to_numpy(dtype=bool)].reset_index(drop=True)
    near = near_events(true, events, match_spots(truth.tables["spots"], spots))
    held = events["p_fused"].fillna(0.0).to_numpy(dtype=float)[near["result_row"]]
    best = near.assign(held=held).groupby("truth_row")["held"].max().reindex(true.index).fillna(0.0)
    return best.to_numpy()[asked], fused[asked]


def _report(
    name: str, scores: dict[str, Scores], ideal: list[float], areas: dict[str, float], per_thousand: float
) -> dict[str, Any]:
    """Print and return the figures of one scene."""
    kinds = [*LOSSES, "aggregation", "surfing"]
    names = [f"{kind}.{figure}" for kind in kinds for figure in SHOWN] + list(WHOLE)
    rows = {
        title: {one: score.metrics[one].value for one in names if one in score.metrics}
        for title, score in scores.items()
    }
    counts = {one: metric.n for one, metric in scores["exovision"].metrics.items() if one in names}
    table = pd.DataFrame(rows).reindex([one for one in names if any(one in row for row in rows.values())])
    print(f"\n{name}")
    print(table.assign(n=pd.Series(counts)).round(3).to_string())
    print(scores["exovision"].tables["events_confusion"].to_string())
    best = f"{np.mean(ideal):.4f} ({len(ideal)} fusions)" if ideal else "no fusion"
    ours = ", ".join(f"{title} {area:.3f}" for title, area in areas.items())
    print(f"area under the curve, fusion against all other losses: {ours}")
    print(f"the same of the ideal observer, fusion against disappearance: {best}")
    print(f"{per_thousand:.0f} CPU-s of the whole analysis per 1,000 events")
    return {
        "scores": {title: score.to_dict() for title, score in scores.items()},
        "auc": areas,
        "ideal_auc": ideal,
        "cpu_s_per_1000_events": per_thousand,
    }


def _nulls(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Return calls per cell and hour in movies in which nothing docks."""
    found = {}
    for name in options.nulls:
        counts = {"docking": 0, "fusion": 0, "hemifusion": 0, "kiss_and_run": 0, "uptake": 0}
        hours = 0.0
        for seed in options.seeds:
            movie, labels = _null_movie(name, seed, work, given=options.given_labels)
            result, _ = _analysed(movie, labels, work / "null" / f"{name}_{seed}", options)
            interval = np.median(np.diff(movie.role_times_s("cell")))
            hours += len(result.cells) * float(interval) / 3600
            for kind in counts:
                counts[kind] += int((result.events["kind"] == kind).sum())
        rates = {kind: rate(count, hours) for kind, count in counts.items()}
        found[name] = {kind: vars(one) for kind, one in rates.items() if isinstance(one, Metric)}
        print(
            f"\n{name}, {hours:.2f} cell-hours: " + "; ".join(f"{k} {_rate(one)}" for k, one in rates.items())
        )
    return found


def _rate(value: Metric | str) -> str:
    return value if isinstance(value, str) else f"{value.value:.3f} [{value.lo:.3f}, {value.hi:.3f}]"


def _null_movie(name: str, seed: int, work: Path, *, given: bool) -> tuple[Movie, str | None]:
    """Return a movie without dockings; "shuffled" has the cells of another movie under its exosomes."""
    if name != "shuffled":
        folder = _made(load_scene(name), seed, work)
        return _read(folder), str(folder / "truth" / "cell_labels.ome.tif") if given else None
    scene = load_scene("docking")
    exosomes, cells = (_made(scene, one, work) for one in (seed, seed + 100))
    pixels = np.stack(
        [tifffile.imread(exosomes / "movie.ome.tif")[:, 0], tifffile.imread(cells / "movie.ome.tif")[:, 1]],
        axis=1,
    )
    movie = Movie.from_array(
        pixels,
        pixel_size_um=scene.imaging.pixel_size_um,
        frame_interval_s=scene.imaging.frame_interval_s,
        channels={"exosome": 0, "cell": 1},
        name=f"shuffled_{seed}",
    )
    return movie, str(cells / "truth" / "cell_labels.ome.tif") if given else None


def _reversed(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Return the events called in movies that run backwards."""
    found: dict[str, dict[str, int]] = {}
    for name in options.scenes:
        scene = load_scene(name)
        calls: dict[str, int] = {}
        for seed in options.seeds:
            forward = _read(_made(scene, seed, work))
            pixels = tifffile.imread(work / "truth" / f"{name}_{seed}" / "movie.ome.tif")[::-1]
            backward = Movie.from_array(
                np.ascontiguousarray(pixels),
                pixel_size_um=forward.pixel_size_um,
                frame_interval_s=scene.imaging.frame_interval_s,
                channels=dict(forward.roles),
                name=f"{name}_{seed}_reversed",
            )
            backward = replace(backward, facts=forward.facts)
            result, _ = _analysed(backward, None, work / "reversed" / backward.name, options)
            for kind, count in result.events["kind"].value_counts().items():
                calls[str(kind)] = calls.get(str(kind), 0) + int(count)
        found[name] = calls
        print(f"\n{name} backwards: {calls.get('fusion', 0)} fusions; all calls: {calls}")
    return found


def _grid(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Return areas under the curve, fusion against disappearance, of single events."""
    rows = []
    values = [GRID[name] for name in ("diffusion_um2_s", "gain", "frame_interval_s", "photons")]
    for diffusion, gain, interval_s, photons in (
        np.array(np.meshgrid(*values, indexing="ij")).reshape(4, -1).T
    ):
        quench = 1 - 1 / gain
        conditions = PatchConditions(
            labels=Labels(
                lipid_diffusion_um2_s=(diffusion, diffusion),
                quench=(quench, quench),
                release_tau_s=(0.05, 0.05),
            ),
            shares={"fused": 1.0, "bleached": 1.0},
            frame_interval_s=(interval_s, interval_s),
            photons=(photons, photons),
            background_photons=(10.0, 10.0),
            flat_share=0.0,
        )
        trained = TraceClassifier.train(conditions, seed=TRAINING_SEED, count=options.grid_events)
        trace, fused = ended_traces(conditions, seed=GRID_SEED, count=options.grid_events)
        rows.append(
            {
                "diffusion_um2_s": diffusion,
                "gain": gain,
                "frame_interval_s": interval_s,
                "photons": photons,
                "ideal": _grid_ideal(conditions, options.grid_events // 20),
                "trace only": area_under_curve(trained.probability(trace), fused),
            }
        )
    table = pd.DataFrame(rows)
    print("\nsingle events, edge-on, 10 photons per px of background")
    print(table.round(3).to_string(index=False))
    return table.to_dict(orient="split")


def _grid_ideal(conditions: PatchConditions, count: int) -> float:
    """Return the mean area under the curve of the ideal observer over some events of a cell of the grid."""
    only = replace(conditions, shares={"fused": 1.0})
    patches = event_patches(np.random.default_rng(GRID_SEED), only, count)
    found = []
    for row, times in zip(patches.truth.to_dict("records"), patches.times_s):
        view = View(
            optics=Optics(only.pixel_size_um, only.psf_sigma_um, only.psf_sigma_z_um, row["exposure_s"]),
            ages_s=times[times > 0],
            electrons={"exosome": row["photons"]},
            background={"exosome": row["background_photons"]},
            read_noise=only.camera.read_noise_electrons,
        )
        release = Release(row["diffusion_um2_s"], 1 - 1 / row["dequench_gain"], row["release_tau_s"])
        found.append(fate_auc("fused", "bleached", Course({"exosome": release}), only.labels, view))
    return float(np.mean(found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--scenes", nargs="+", default=SCENES)
    parser.add_argument("--nulls", nargs="+", choices=NULLS, default=NULLS)
    parser.add_argument("--given-labels", action="store_true", help="the true labels instead of segmentation")
    parser.add_argument("--grid-events", type=int, default=400)
    parser.add_argument("--network", choices=("embedded", "none"), help="the setting of this name")
    parser.add_argument("--weights", help="a network of `exovision train events` in the place of the shipped")
    parser.add_argument("--fusion-prior", type=float, help="the setting of this name")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", type=Path, help="keep movies and results here; made movies are used again")
    return parser.parse_args()


if __name__ == "__main__":
    main()
