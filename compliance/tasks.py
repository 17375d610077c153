"""Background work of compliance: each task calls its service, batch after batch, and is safe to run ten at once."""

from celery import shared_task
from django.utils import timezone

from compliance.services import (
    backtests,
    case_queue,
    documents,
    identity_events,
    kyc,
    list_age,
    payers,
    rescreening,
    risk,
    screening,
    self_audit,
)
from wallet_project.utils.batches import work_off
from wallet_project.utils.context import system_actor
from wallet_project.utils.nudges import lower_flag


@shared_task(name="compliance.screen_due")
def screen_due() -> None:
    work_off("compliance.screen_due", lambda: screening.screen_due(now=timezone.now()), full=screening.BATCH)


@shared_task(name="compliance.screen_payers")
def screen_payers() -> None:
    work_off("compliance.screen_payers", lambda: payers.screen_payers(now=timezone.now()), full=payers.BATCH)


@shared_task(name="compliance.run_checks")
def run_checks() -> None:
    work_off("compliance.run_checks", lambda: kyc.run_checks(now=timezone.now()), full=kyc.BATCH)


@shared_task(name="compliance.refresh_identities")
def refresh_identities() -> None:
    work_off("compliance.refresh_identities", lambda: kyc.refresh_due(now=timezone.now()), full=kyc.REFRESH_BATCH)


@shared_task(name="compliance.expire_documents")
def expire_documents() -> None:
    work_off(
        "compliance.expire_documents",
        lambda: documents.expire_documents(now=timezone.now()),
        full=documents.BATCH,
    )


@shared_task(name="compliance.score_risks")
def score_risks() -> None:
    work_off("compliance.score_risks", lambda: risk.score_due(now=timezone.now()), full=risk.BATCH)


@shared_task(name="compliance.process_identity_events")
def process_identity_events() -> None:
    work_off(
        "compliance.process_identity_events",
        lambda: identity_events.process_identity_events(now=timezone.now()),
        full=identity_events.BATCH,
    )


@shared_task(name="compliance.open_cases")
def open_cases() -> None:
    work_off("compliance.open_cases", lambda: case_queue.tend_queue(now=timezone.now()), full=case_queue.BATCH)


@shared_task(name="compliance.rescreen_customers")
def rescreen_customers() -> None:
    work_off(
        "compliance.rescreen_customers",
        lambda: rescreening.rescreen_customers(now=timezone.now()),
        full=1,
    )


@shared_task(name="compliance.watch_lists")
def watch_lists() -> None:
    lower_flag("compliance.watch_lists")
    list_age.watch_lists(now=timezone.now())


@shared_task(name="compliance.self_audit", soft_time_limit=3_000, time_limit=3_300)
def audit_books() -> None:
    """Well within the hour after which the broker hands it to another worker as well."""
    lower_flag("compliance.self_audit")
    self_audit.self_audit(actor=system_actor(), now=timezone.now())


@shared_task(name="compliance.run_backtests", soft_time_limit=3_000, time_limit=3_300)
def run_backtests() -> None:
    """One after another; each reads for minutes, and asks nothing of those that wait for an answer."""
    work_off("compliance.run_backtests", lambda: backtests.run_backtests(now=timezone.now()), full=1)
