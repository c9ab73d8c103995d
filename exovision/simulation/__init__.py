"""The forward model: cells, exosomes, optics and camera, apart from all inference."""
