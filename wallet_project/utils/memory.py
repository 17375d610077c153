"""The memory of processes that live long."""

import gc


def keep_what_is_here() -> None:
    """Once all is loaded: half a million objects that the collector need not look through again and again. A process
    that forks calls it before it does, so that its children go on sharing their pages."""
    gc.collect()
    gc.freeze()
