"""How well the event models tell single fates apart, on patch sequences of the simulator with known truth.

    python benchmarks/event_models.py --seed 601 --events 400 --chemistry lipid_dye --interval-s 0.1

prints a confusion table, precision and recall of fusion where it can be told, how many losses are left
unresolved where it cannot, how often truth lies in the 95 % intervals, and the time per 1,000 events.
Positions are those of the simulator with an error of 0.1 px, as long as there is a vesicle; other exosomes
are not masked.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np
import pandas as pd

from exovision.events.chemistry import CHEMISTRIES, Chemistry
from exovision.events.estimates import estimate
from exovision.events.hypothesis_fits import compare
from exovision.events.judge import CONTENT_MODELS, MODEL_OF, call_fate
from exovision.events.posterior import judge_fates
from exovision.events.sequences import PatchSequence, survey
from exovision.events.verdicts import KINDS
from exovision.settings import EventSettings
from exovision.simulation.event_patches import EventPatches, event_patches
from exovision.simulation.scene import Labels
from exovision.simulation.single_events import PatchConditions

ERROR_PX = 0.1
BLEACH_FRAMES = 1500.0
REMAINING = ("hemifused", "kiss_and_run", "unchanged", "aggregated", "left_focus", "taken_up")
PARAMETERS = ("diffusion_um2_s", "dequench_gain", "release_tau_s", "spread_fraction")


def sequences(patches: EventPatches, i: int, rng: np.random.Generator, conditions: PatchConditions, dye):
    """Return the patch sequences of one event by role, as the analysis would cut them."""
    truth, camera = patches.truth.iloc[i], conditions.camera
    onset = int(truth["onset_frame"])
    places = patches.places_px[i] + rng.normal(0, ERROR_PX, patches.places_px[i].shape)
    if truth["cause"] not in REMAINING:
        places[onset + 1 :] = places[onset]
    photons = (patches.counts[i].astype(np.float64) - camera.offset_counts) * camera.electrons_per_count
    exposure = float(truth["exposure_s"])
    fade = np.exp(-(np.arange(len(places)) - onset) / BLEACH_FRAMES)
    return {
        role: PatchSequence(
            photons=photons[:, c],
            mask=np.ones_like(photons[:, c]),
            frames=np.arange(len(places)),
            times_s=patches.times_s[i] + exposure / 2,
            centres_px=places,
            fade=fade,
            normal=truth[["normal_y", "normal_x"]].to_numpy(dtype=np.float64),
            sigma_px=conditions.psf_sigma_um / conditions.pixel_size_um,
            sigma_z_px=conditions.psf_sigma_z_um / conditions.pixel_size_um,
            read_noise=camera.read_noise_electrons,
            exposure_s=exposure,
            before=max(onset - 4, 3),
            latest=min(onset + 2, len(places) - 2),
            at_once=dye.at_once,
        )
        for c, role in enumerate(patches.roles)
    }


def judge(parts, chemistry: Chemistry, pixel_um: float, settings: EventSettings):
    """Return the fate that is called or None, the posterior and the estimates, as `Judge.judge` does."""
    patch = parts["exosome"]
    scenery = survey(patch)
    fits = compare(patch, scenery, chemistry.dye, pixel_size_um=pixel_um)
    content = None
    if "content" in parts:
        content = compare(
            parts["content"], survey(parts["content"]), chemistry.dye, pixel_size_um=pixel_um,
            names=CONTENT_MODELS,
        )  # fmt: skip
    posterior = judge_fates(fits, content, fusion_prior=settings.fusion_prior, shows=chemistry.shows)
    fate, _ = call_fate(posterior, patch, scenery, chemistry, pixel_size_um=pixel_um, settings=settings)
    if fate not in MODEL_OF:
        return fate, posterior, {}
    return fate, posterior, estimate(patch, scenery, fits[MODEL_OF[fate]], pixel_size_um=pixel_um)


def run(arguments: argparse.Namespace) -> pd.DataFrame:
    """Judge all events; a row each."""
    rng = np.random.default_rng(arguments.seed)
    shares = {"fused": 2.0, "hemifused": 1.0, "bleached": 2.0, "left_focus": 1.0, "detached": 2.0}
    shares |= {"leaving": 1.0, "unchanged": 1.0}
    if arguments.chemistry == "dual":
        shares["kiss_and_run"] = 1.0
    labels = Labels(
        chemistry=arguments.chemistry, lipid_diffusion_um2_s=(0.15, 1.5), quench=(0.0, 0.8),
        release_tau_s=(0.02, 2.0), protein_diffusion_um2_s=(0.1, 0.3),
    )  # fmt: skip
    conditions = PatchConditions(
        labels=labels, shares=shares, frame_interval_s=(arguments.interval_s,) * 2,
        photons=(100.0, 600.0), neighbour_share=arguments.neighbours, judged=True,
        bleach_tau_frames=(BLEACH_FRAMES,) * 2,
    )  # fmt: skip
    patches = event_patches(rng, conditions, arguments.events)
    chemistry, settings = CHEMISTRIES[arguments.chemistry], EventSettings()
    parts = [sequences(patches, i, rng, conditions, chemistry.dye) for i in range(arguments.events)]
    judge(parts[0], chemistry, conditions.pixel_size_um, settings)
    rows, began = [], time.process_time()
    for i, part in enumerate(parts):
        fate, posterior, found = judge(part, chemistry, conditions.pixel_size_um, settings)
        row = patches.truth.iloc[i].to_dict() | {"called": KINDS.get(fate, "loss_unresolved")}
        row |= {"p_fused": posterior.fates["fused"], "ratio": posterior.fusion_log_likelihood_ratio}
        row |= {"best": posterior.best}
        for name, value in found.items():
            row |= {f"{name}_is": value.value, f"{name}_lo": value.lo, f"{name}_hi": value.hi}
        rows.append(row)
    table = pd.DataFrame(rows)
    print(f"time per 1,000 events: {(time.process_time() - began) / len(parts) * 1000:.0f} CPU-s")
    return table


def show(table: pd.DataFrame) -> None:
    """Print the figures."""
    told = table["identifiable"].map({True: "yes", False: "no"}).fillna("unscored")
    print(pd.crosstab([table["cause"], told], table["called"]).to_string())
    true = (table["cause"] == "fused").to_numpy()
    called = (table["called"] == "fusion").to_numpy()
    able = (told == "yes").to_numpy()
    hits, wrong = int((true & called).sum()), int((called & ~true).sum())
    recall, precision = np.mean(called[true & able]), hits / max(hits + wrong, 1)
    print(f"fusion: recall {recall:.3f} of {int((true & able).sum())} that can be told")
    print(f"fusion: precision {precision:.3f} of {hits + wrong} calls")
    losses = np.isin(table["cause"], ("bleached", "detached", "left_focus")) | (true & (told == "no"))
    print(f"unresolved where not identifiable: {np.mean(table['called'][losses] == 'loss_unresolved'):.3f} "
          f"of {int(losses.sum())}")  # fmt: skip
    right = table[(true & called) | ((table["cause"] == "hemifused") & (table["called"] == "hemifusion"))]
    for name in PARAMETERS:
        if f"{name}_lo" in right:
            inside = (right[f"{name}_lo"] <= right[name] * 1.0001) & (
                right[name] <= 1.0001 * right[f"{name}_hi"]
            )
            bias = np.median(np.log(right[f"{name}_is"] / right[name]))
            print(
                f"{name}: in the interval {inside.mean():.3f} of {len(right)}, median log error {bias:+.2f}"
            )
    print("best models of wrong calls:", Counter(table["best"][called & ~true]))


def main() -> None:
    """Parse the arguments, run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--chemistry", default="lipid_dye", choices=sorted(CHEMISTRIES))
    parser.add_argument("--interval-s", type=float, default=0.1)
    parser.add_argument("--neighbours", type=float, default=0.0)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    table = run(arguments)
    if arguments.out:
        table.to_csv(arguments.out, index=False)
    show(table)


if __name__ == "__main__":
    main()
