"""Settings of Python's garbage collector that keep its pauses short."""

from __future__ import annotations

import gc

NEW = 5_000
"""New objects after which the collector walks through these: a few milliseconds, where 50,000 may take 70."""


def collect_seldom() -> None:
    """Has the collector look at new objects only, and less often. Called when all is loaded, and when all is made.

    A busy server makes tens of thousands of short-lived objects a second; by default the collector walks through those
    in use every 700 of them, and now and then through all that were loaded, some 70 ms long.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW, 200, 20)
