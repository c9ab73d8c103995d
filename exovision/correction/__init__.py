"""Stage drift and bleaching: estimated from the movie, recorded, removed from what is measured over time."""
