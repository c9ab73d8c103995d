"""From hits to death: design, survival, hazards of time-varying hits, and comparisons between wells."""
