"""Background work of the ledger: each task calls one service, batch after batch, and is safe to run ten at once."""

from random import SystemRandom

from celery import shared_task
from django.utils import timezone

from ledger.rails import configured_rail
from ledger.services import clearing, events, holds, levels, rails, thawing
from wallet_project.utils.batches import work_off
from wallet_project.utils.http_client import ProviderNotConfigured


@shared_task(name="ledger.clear_due")
def clear_due() -> None:
    work_off("ledger.clear_due", clearing.clear_due, full=clearing.BATCH)


@shared_task(name="ledger.expire_due")
def expire_due() -> None:
    work_off("ledger.expire_due", holds.expire_due, full=holds.BATCH)


@shared_task(name="ledger.resume_thawed")
def resume_thawed() -> None:
    work_off("ledger.resume_thawed", lambda: thawing.resume_thawed(now=timezone.now()), full=thawing.BATCH)


@shared_task(name="ledger.keep_level_limits")
def keep_level_limits() -> None:
    work_off("ledger.keep_level_limits", levels.keep_level_limits, full=levels.BATCH)


@shared_task(name="ledger.dispatch_rails")
def dispatch_rails() -> None:
    try:
        rail = configured_rail()
    except ProviderNotConfigured:
        # Nobody to ask: what waits for a bank goes on waiting.
        return
    work_off(
        "ledger.dispatch_rails",
        lambda: rails.dispatch_rails(rail=rail, now=timezone.now(), rng=SystemRandom()),
        full=rails.BATCH,
    )


@shared_task(name="ledger.process_bank_events")
def process_bank_events() -> None:
    try:
        rail = configured_rail()
    except ProviderNotConfigured:
        rail = None
    work_off(
        "ledger.process_bank_events",
        lambda: events.process_bank_events(rail=rail, now=timezone.now(), rng=SystemRandom()),
        full=events.BATCH,
    )
