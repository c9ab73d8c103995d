"""Torch networks: device, batches, architecture, training; weights are loaded only here."""
