"""Settings of Python's garbage collector that keep its pauses short."""

from __future__ import annotations

import gc

NEW = 5_000
"""New objects after which the collector scans them: that takes a few milliseconds; 50,000 objects may take 70 ms."""


def collect_seldom() -> None:
    """Makes the collector scan new objects only, and less often. To be called when the process has started.

    A busy server creates tens of thousands of short-lived objects a second; by default the collector scans the young
    objects after every 700, and at times all objects that were loaded, which takes some 70 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW, 200, 20)
