"""Decides the colours and the letters of every figure, and through them of the page.

It does not know what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

import matplotlib as mpl

# The page swaps each of these for its own colour of that name, which is another one in the dark.
PALETTE: Final = MappingProxyType(
    {
        "paper": "#fffefd",
        "ink": "#23262b",
        "muted": "#6b7078",
        "rule": "#e3e1dc",
        "accent": "#2f6db0",
        "alert": "#c4551d",
    }
)


@contextmanager
def style(salt: str = "wavemix") -> Iterator[None]:
    """The look of every figure, independent of the settings of whoever calls."""
    ink, muted = PALETTE["ink"], PALETTE["muted"]
    look: dict[Any, Any] = {
        "axes.edgecolor": PALETTE["rule"],
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.labelcolor": muted,
        "axes.labelsize": 9,
        "axes.linewidth": 0.8,
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.axisbelow": True,
        "axes.titlelocation": "left",
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlecolor": ink,
        "figure.facecolor": PALETTE["paper"],
        "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
        "font.size": 9,
        "grid.color": PALETTE["rule"],
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "legend.labelcolor": ink,
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "text.color": ink,
        "text.parse_math": False,  # a class may be called "$5"
        "xtick.color": PALETTE["rule"],
        "xtick.labelcolor": muted,
        "xtick.labelsize": 8.5,
        "ytick.color": PALETTE["rule"],
        "ytick.labelcolor": muted,
        "ytick.labelsize": 8.5,
        "ytick.major.size": 0,
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(look)
        yield
