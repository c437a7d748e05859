"""Tiny raw data sets in the layouts in which their owners publish the true ones."""
