"""The published hits of killer T cells on tumour cells, analysed anew (Weigelin 2021, Nat Commun 12:5217).

    python benchmarks/ctl_hits.py --data FOLDER

`--data` holds `ctl_hits/calcium-trace.txt`: 139 target cells, their hits and fates, hours. Printed are the
half-life of the damage at the largest partial likelihood (published: 56.73 min), the median time from the
last hit to death (17 min), and the survival 6 h after the first to fourth hit (.68 .59 .38 .36).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from exovision.experiment.cox import HazardFit, fit_hazard
from exovision.experiment.curves import latency_table, survival_table
from exovision.experiment.damage import profile_half_life
from exovision.experiment.exposures import exposure, make_cohort
from exovision.experiment.hazard import make_groups
from exovision.experiment.study import Study, make_study
from exovision.settings import ExperimentSettings

DEATH, HIT, LEFT = 1, 2, -1


def read_study(path: Path) -> Study:
    """Read the published table as the tables of an experiment with one condition."""
    rows = pd.read_csv(path, sep=r"\s+")
    rows["time_s"] = rows["time"] * 3600
    hits, ends = rows[rows["event.type"] == HIT], rows[rows["event.type"] != HIT]
    died = ends["event.type"] == DEATH
    fates = pd.DataFrame(
        {
            "movie": "all",
            "cell_id": ends["cell"],
            "entry": "start",
            "exit": np.where(died, "died", np.where(ends["event.type"] == LEFT, "left_field", "movie_end")),
            "first_s": 0.0,
            "last_s": ends["time_s"],
            **{name: ends["time_s"].where(died) for name in ("onset_s", "onset_s_lo", "onset_s_hi")},
        }
    )
    events = pd.DataFrame(
        {"movie": "all", "kind": "docking", "cell_id": hits["cell"], "start_s": hits["time_s"]}
    )
    movies = pd.DataFrame({"movie": ["all"], "condition": ["killer T cells"]})
    return make_study(movies, fates=fates, events=events, cells=pd.DataFrame())


def main() -> None:
    """Print the three figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    settings = ExperimentSettings(lag_h=0.0)
    cohort = make_cohort(read_study(options.data / "ctl_hits" / "calcium-trace.txt"), settings)
    group = make_groups(cohort, settings)[0]

    def fit_at(half_life_s: float) -> HazardFit:
        at_s = group.pairs.time_s
        damage = exposure(
            cohort, "docked", cell=group.pairs.cell, at_s=at_s, scale="hit", half_life_s=half_life_s
        )
        return fit_hazard(damage[:, None], group.pairs, group.cluster)

    best = profile_half_life(fit_at, longest_s=float(cohort.end_s.max()))
    latency = latency_table(cohort)
    curves = survival_table(cohort, settings)
    after = curves[(curves["start"] == "docking") & (curves["time_s"] <= 6 * 3600)]
    survival = {
        int(hit): round(float(value), 3) for hit, value in after.groupby("hit")["survival"].last().items()
    }
    print(
        json.dumps(
            {
                "cells": len(cohort.cells),
                "deaths": int(cohort.died.sum()),
                "half_life_min": round(best.half_life_s / 60, 2),
                "half_life_min_lo": round(best.lo_s / 60, 1),
                "half_life_min_hi": round(best.hi_s / 60, 1),
                "last_hit_to_death_min": round(float(latency[latency["last"]]["latency_s"].median()) / 60, 1),
                "survival_6_h_after_hit": survival,
            }
        )
    )


if __name__ == "__main__":
    main()
