"""The napari plugin of exovision: see a movie analysed, steer the analysis, correct it and teach it."""

from napari_exovision.graphics import keep_triton_out

# napari imports a plugin when it is first used, which is after its window has loaded the graphics driver.
keep_triton_out()
