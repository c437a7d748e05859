"""Decides what the reader of a finished pipeline sees: tables, figures and one HTML page, from files alone.

It does not know how the files came about: no torch, no configuration schema, no Ray, no MLflow.
"""

from wavemix.report.page import figures_of, write_report
from wavemix.report.read import read_results
from wavemix.report.records import Results

__all__ = ["Results", "figures_of", "read_results", "write_report"]
