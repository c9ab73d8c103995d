"""Death: what cells look like, and what becomes of them in time."""
