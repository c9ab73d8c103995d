"""A simulated study as the tables that a run leaves, for the experiment report.

    python benchmarks/study.py --out study --seed 1
    exovision report study

NK, circulating and control exosomes and dye alone, on tumour, activated and resting immune cells, and NK
exosomes with FasL blocked on tumour cells. NK and circulating exosomes kill tumour and activated cells, by
docking and more so by fusion; resting cells and the controls are spared. Size drives both docking and death,
dying cells catch more, cells are late and lost, and a third of the ends of docking cannot be told.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from exovision import schema
from exovision.io.folders import make_folder
from exovision.io.tables import write_csv, write_json, write_parquet
from exovision.simulation.studies import simulate_study
from exovision.simulation.study_plan import Arm, StudyPlan

TARGETS = {"tumour": 1.0, "activated_immune": 1.0, "resting_immune": 0.0}
"""How much of the full effect hits have on each target type."""
SOURCES = {
    "NK exosomes": ("NK", "none", 1.0),
    "circulating exosomes": ("circulating", "none", 0.7),
    "control exosomes": ("other", "none", 0.0),
    "dye only": ("none", "dye_only", 0.0),
}


def plan() -> StudyPlan:
    """Return the plan of the study."""
    arms = [
        Arm(
            name,
            source=source,
            target_type=target,
            control=control,
            docking_per_h=0.2 if control == "dye_only" else 0.5,
            fusion_share=0.0 if control == "dye_only" else 0.15,
            unresolved_share=0.3,
            docking_hr=1.3 ** (effect * share),
            fusion_hr=1.9 ** (effect * share),
            death_per_h=0.008,
        )
        for name, (source, control, effect) in SOURCES.items()
        for target, share in TARGETS.items()
    ]
    blocked = Arm(
        "NK exosomes",
        treatment="anti-FasL",
        docking_per_h=0.5,
        fusion_share=0.15,
        unresolved_share=0.3,
        fusion_hr=1.9,
        death_per_h=0.008,
    )
    return StudyPlan(
        arms=(*arms, blocked),
        size_to_docking=1.0,
        size_to_death=0.5,
        well_spread=0.2,
        donor_spread=0.2,
        docking_after_onset=3.0,
        onset_delay_h=0.3,
        late=0.15,
        lost_per_h=0.005,
    )


def main() -> None:
    """Simulate the study and write it as the output folder of a run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tables = simulate_study(plan(), seed=options.seed)
    for name in tables.movies["movie"]:
        folder = make_folder(options.out / name)
        own = {table: getattr(tables, table) for table in ("fates", "events", "cells")}
        own = {table: rows[rows["movie"] == name].drop(columns="movie") for table, rows in own.items()}
        write_csv(own["fates"], folder / "fates.csv", schema.FATES)
        write_csv(own["events"], folder / "events.csv", schema.EVENTS)
        write_parquet(own["cells"], folder / "cells.parquet", schema.CELLS)
        write_json({"simulated": True, "seed": options.seed}, folder / "run.json")
    write_csv(tables.movies, options.out / "movies.csv", {"movie": schema.TEXT})
    print(f"{len(tables.movies)} movies in {options.out}; now: exovision report {options.out}")


if __name__ == "__main__":
    main()
