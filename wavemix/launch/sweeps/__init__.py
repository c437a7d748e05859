"""Trials of an experiment on Ray Tune: what is drawn, which run is whose, and who goes on."""
