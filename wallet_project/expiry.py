"""Carries out what the apps' `retention.py` say: every night as far as the application may, and all of it for the owner
of the tables, who may also throw a salt away."""

from collections.abc import Callable, Iterator
from datetime import datetime

from django.conf import settings

from wallet_project.utils.retention import Expired, declared, expire


def expire_as_application(*, now: datetime, dry_run: bool = False, go_on: Callable[[], bool]) -> Iterator[Expired]:
    """What is not under seal."""
    wanted = [each for each in declared(settings.RETENTION) if not each.sealed]
    return expire(wanted, days=settings.KEEP_DAYS, now=now, using="default", dry_run=dry_run, go_on=go_on)


def expire_as_owner(*, now: datetime, dry_run: bool = False) -> Iterator[Expired]:
    """What is: its salts are the owner's."""
    wanted = [each for each in declared(settings.RETENTION) if each.sealed]
    return expire(wanted, days=settings.KEEP_DAYS, now=now, using="owner", dry_run=dry_run)
