"""Corrections by hand: annotations with who and when, and their replay over the tables of an analysis."""
