"""Cells: segmenters, tracking, outlines with signed distance, features."""
