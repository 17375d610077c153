"""What the collector of garbage looks through."""

import gc

from celery import signals


def test_a_worker_keeps_what_it_has_loaded_from_the_collector_before_it_forks() -> None:
    gc.unfreeze()
    signals.worker_before_create_process.send(sender=None)
    assert gc.get_freeze_count() > 1_000
