"""The napari plugin of exovision: see a movie analysed, steer the analysis, correct it and teach it."""
