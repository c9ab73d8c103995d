import numpy as np
import pytest

from exovision.nets.flows import FLOW_SCALE, decode, flow_targets, follow

ROWS, COLUMNS = np.indices((96, 120))


def cells():
    labels = np.zeros(ROWS.shape, dtype=np.int32)
    labels[np.hypot(ROWS - 30, COLUMNS - 30) <= 14] = 4
    labels[np.hypot(ROWS - 30, COLUMNS - 58) <= 13.5] = 9
    labels[np.hypot((ROWS - 70) / 0.6, COLUMNS - 80) <= 22] = 2
    return labels


def test_flows_have_unit_length_inside_and_lead_to_the_centre():
    labels = cells()
    flows = flow_targets(labels)
    length = np.hypot(*flows)
    assert (length[labels == 0] == 0).all()
    inside = (labels == 4) & (np.hypot(ROWS - 30, COLUMNS - 30) > 2)
    assert length[inside] == pytest.approx(1, abs=1e-5)
    inwards = np.stack([30 - ROWS, 30 - COLUMNS])[:, inside] / np.hypot(ROWS - 30, COLUMNS - 30)[inside]
    assert (flows[:, inside] * inwards).sum(axis=0).min() > 0.8


def test_touching_cells_do_not_bend_each_others_flow():
    labels = cells()
    alone = np.where(labels == 4, labels, 0)
    assert np.array_equal(flow_targets(labels)[:, labels == 4], flow_targets(alone)[:, labels == 4])


def test_decoding_true_flows_gives_the_cells_back():
    labels = cells()
    logit = np.where(labels > 0, 5, -5).astype(np.float32)
    found = decode(FLOW_SCALE * flow_targets(labels), logit, diameter_px=30)
    assert found.max() == 3
    for cell in (2, 4, 9):
        match = np.bincount(found[labels == cell]).argmax()
        assert ((labels == cell) & (found == match)).sum() / (
            (labels == cell) | (found == match)
        ).sum() > 0.97


def test_cells_whose_flows_do_not_fit_are_dropped():
    labels = cells()
    flows = FLOW_SCALE * flow_targets(labels)
    rng = np.random.default_rng(0)
    turned = rng.uniform(-1, 1, flows.shape).astype(np.float32) * FLOW_SCALE * 0.7
    flows = np.where(labels == 2, 0.3 * flows + turned, flows).astype(np.float32)
    found = decode(flows, np.where(labels > 0, 5, -5).astype(np.float32), diameter_px=30)
    assert (found[labels == 2] > 0).mean() < 0.2
    assert (found[labels == 4] > 0).mean() > 0.97


def test_a_cell_cut_by_the_border_stays_whatever_its_flows():
    labels = np.zeros(ROWS.shape, dtype=np.int32)
    labels[np.hypot(ROWS - 4, COLUMNS - 30) <= 14] = 1
    labels[np.hypot(ROWS - 60, COLUMNS - 80) <= 14] = 2
    tilted = FLOW_SCALE * flow_targets(labels) * np.float32(0.15)
    found = decode(tilted, np.where(labels > 0, 5, -5).astype(np.float32), diameter_px=30)
    assert (found[labels == 1] > 0).mean() > 0.97
    assert (found[labels == 2] > 0).mean() < 0.2


def test_no_cells_give_no_labels():
    found = decode(np.zeros((2, 32, 32), np.float32), np.full((32, 32), -3, np.float32), diameter_px=10)
    assert found.dtype == np.int32 and not found.any()


def test_pixels_are_followed_as_cellpose_follows_them():
    torch = pytest.importorskip("torch")
    from cellpose import dynamics

    labels = cells()
    noise = np.random.default_rng(1).normal(0, 0.1, (2, *labels.shape))
    flows = ((flow_targets(labels) + noise) * (labels > 0)).astype(np.float32)
    at = np.nonzero(labels)
    expected = dynamics.follow_flows(flows, inds=at, niter=60, device=torch.device("cpu")).numpy()
    found = follow(flows, np.stack(at), 60)
    assert np.quantile(np.abs(found - expected), 0.999) < 0.01
