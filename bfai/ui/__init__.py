"""The Streamlit side: a frame for every page, words, pieces and charts.

    workbench = open_page("overview")
    with calm():
        …

A page asks the Workbench and draws. It decides nothing: rules about keys stand in the package.
"""

from bfai.ui.frame import is_simulated, open_page
from bfai.ui.language import _, ago, duration, moment, n_, percent, plain, say, zone, zone_name
from bfai.ui.pieces import calm

__all__ = [
    "_",
    "ago",
    "calm",
    "duration",
    "is_simulated",
    "moment",
    "n_",
    "open_page",
    "percent",
    "plain",
    "say",
    "zone",
    "zone_name",
]
