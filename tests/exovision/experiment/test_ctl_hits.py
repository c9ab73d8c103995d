"""The published hits of killer T cells give the published figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data"


@pytest.mark.skipif(not (DATA / "ctl_hits").is_dir(), reason="the published hits are not on this machine")
def test_half_life_latency_and_survival_are_those_of_the_paper():
    command = [sys.executable, str(ROOT / "benchmarks" / "ctl_hits.py"), "--data", str(DATA)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert (found["cells"], found["deaths"]) == (139, 26)
    assert found["half_life_min"] == pytest.approx(56.73, abs=1.0)
    assert found["half_life_min_lo"] < 56.73 < found["half_life_min_hi"]
    assert found["last_hit_to_death_min"] == pytest.approx(17, abs=0.5)
    assert list(found["survival_6_h_after_hit"].values()) == pytest.approx(
        [0.68, 0.59, 0.38, 0.36], abs=0.006
    )
