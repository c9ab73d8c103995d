"""Training of the shipped networks from simulated and real data."""
