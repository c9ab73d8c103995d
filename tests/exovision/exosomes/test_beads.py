from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from exovision.exosomes.detection import Detector
from exovision.settings import CameraSettings, ExosomeSettings

BEADS = Path(__file__).parents[4] / "shared" / "data" / "beads"


@pytest.mark.skipif(not BEADS.is_dir(), reason="the picture of beads is not part of the project")
def test_beads_of_mixed_brightness_are_found_as_a_human_clicked_them():
    image = tifffile.imread(BEADS / "beads_300px.tif").astype(np.float32)[None]
    clicks = pd.read_csv(BEADS / "beads_300px_points.csv")
    truth = clicks[["y_offset_corrected", "x_offset_corrected"]].to_numpy()
    detector = Detector(ExosomeSettings(), CameraSettings(), pixel_size_um=0.108)
    detector.prepare(image)
    table = detector.detect(image, range(1))
    found = table.loc[table["probability"] >= 0.5, ["y_px", "x_px"]].to_numpy()
    distance = cdist(truth, found)
    rows, columns = linear_sum_assignment(np.where(distance <= 3, distance, 1e6))
    hits = (distance[rows, columns] <= 3).sum()
    assert len(truth) == 118
    assert 2 * hits / (len(truth) + len(found)) >= 0.95
