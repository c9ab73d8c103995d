"""Matching of results with truth, and the metrics."""
