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
from exovision.events.examples import examine
from exovision.events.judge import MODEL_OF, call_fate
from exovision.events.verdicts import KINDS
from exovision.events.weighing import weigh
from exovision.pipeline import fate_network
from exovision.settings import EventSettings
from exovision.simulation.event_patches import event_patches
from exovision.simulation.scene import Labels
from exovision.simulation.single_events import PatchConditions
from exovision.training.single_moments import BLEACH_FRAMES, cut_sequences

PARAMETERS = ("diffusion_um2_s", "dequench_gain", "release_tau_s", "spread_fraction")


def judged(moments, chemistry: Chemistry, pixel_um: float, settings: EventSettings):
    """Yield the fate that is called or None, the posterior and the estimates, as the analysis would."""
    posteriors = weigh(
        moments, chemistry, shows=chemistry.shows, fusion_prior=settings.fusion_prior,
        pixel_size_um=pixel_um, network=fate_network(settings, "cpu", print),
    )  # fmt: skip
    for moment, posterior in zip(moments, posteriors):
        patch, scenery = moment.patches["exosome"], moment.scenery
        fate, _ = call_fate(posterior, patch, scenery, chemistry, pixel_size_um=pixel_um, settings=settings)
        found = {}
        if fate in MODEL_OF:
            found = estimate(patch, scenery, moment.fits[MODEL_OF[fate]], pixel_size_um=pixel_um)
        yield fate, posterior, found


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
    chemistry = CHEMISTRIES[arguments.chemistry]
    settings = EventSettings(weights=arguments.weights)
    pixel = conditions.pixel_size_um
    parts = [cut_sequences(patches, i, rng, conditions, chemistry.dye) for i in range(arguments.events)]
    examine(parts[0], chemistry.dye, pixel_size_um=pixel)
    rows, began = [], time.process_time()
    moments = [examine(part, chemistry.dye, pixel_size_um=pixel) for part in parts]
    for i, (fate, posterior, found) in enumerate(judged(moments, chemistry, pixel, settings)):
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
    parser.add_argument("--weights", help="a network of `exovision train events` beside the models")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    table = run(arguments)
    if arguments.out:
        table.to_csv(arguments.out, index=False)
    show(table)


if __name__ == "__main__":
    main()
