"""Python's garbage collector in processes that load much once and then answer for weeks."""

import gc

OBJECTS = 50_000  # made and still there before the young ones are looked through: by Python's own rule 700


def garbage_settle() -> None:
    """Takes what was loaded for good out of the collector's sight; call it once that is there.

    It looks through all of it otherwise, 170,000 objects of the portal and 340,000 of MLflow, 70 ms and more in which
    every request waits, every few dozen requests. What a request makes goes nearly all without the collector, and
    what a long answer makes of rows is looked through once instead of a hundred times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, 20, 20)
