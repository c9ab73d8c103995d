"""Exosomes: detection, localisation, linking, motion."""
