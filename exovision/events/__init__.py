"""Where cells and exosomes meet: membrane placement, states, dockings, chance."""
