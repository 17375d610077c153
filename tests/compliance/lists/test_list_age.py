"""A publisher's list that nobody reads any more is noticed, once, until it is read again."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F

from compliance.models import Case, ListVersion
from compliance.selectors import list_ages
from compliance.services.case_queue import tend_queue
from compliance.services.list_activation import activate_version
from compliance.services.list_age import watch_lists
from compliance.services.lists import import_list
from ledger.models import Escalation
from tests.compliance.people import at_once
from tests.support.factories import NOW
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db


def read(tmp_path: Path, *names: str, activate: bool = True, format_: str = "opensanctions-csv") -> ListVersion:
    path = tmp_path / "list.csv"
    lines = {
        "opensanctions-csv": ["id,schema,name,aliases,birth_date,countries", *(f"{n},Person,{n},,," for n in names)],
        "internal-csv": ["id,name", *(f"{name},{name}" for name in names)],
    }[format_]
    path.write_text("\n".join(lines) + "\n")
    made = import_list(actor=system_actor(), path=path, format=format_, name=format_, purpose="sanctions")
    if activate and made.new:
        activate_version(actor=system_actor(), version_id=made.version.id, reason="new", now=NOW)
    return made.version


def days_pass(days: int) -> None:
    ListVersion.objects.update(seen_at=F("seen_at") - timedelta(days=days))


def found() -> list[tuple[str, str]]:
    return list(Escalation.objects.order_by("id").values_list("kind", "status"))


def test_a_list_that_has_grown_old_is_escalated_once_and_that_ends_when_it_is_read_again(
    tmp_path: Path, settings: Any
) -> None:
    settings.LIST_MAX_AGE_DAYS = 7
    version = read(tmp_path, "Ada Stone")
    read(tmp_path, "Ada Stone", format_="internal-csv")  # our own grow old by nobody's fault
    days_pass(6)
    assert watch_lists(now=NOW) == 0
    days_pass(2)
    assert [(labels, 7 * 86_400 < age < 9 * 86_400) for labels, age in list_ages()] == [(("opensanctions-csv",), True)]
    assert sorted(at_once(*[lambda: watch_lists(now=NOW)] * 3))[-1] == 1
    assert found() == [("list_old", "open")]
    assert watch_lists(now=NOW) == 0
    tend_queue(now=NOW)
    case = Case.objects.get()
    assert "Version 1 of opensanctions-csv was last read on" in case.reason
    # What was read and is not in force looks after nobody.
    waiting = read(tmp_path, "Ada Stone", "Bob Wood", activate=False)
    assert (watch_lists(now=NOW), found()) == (0, [("list_old", "open")])
    activate_version(actor=system_actor(), version_id=waiting.id, reason="now", now=NOW)
    assert (watch_lists(now=NOW), found()) == (1, [("list_old", "resolved")])
    tend_queue(now=NOW)
    assert Case.objects.get(id=case.id).status == "resolved"
    assert version.id != waiting.id

    # The same content again is as fresh as another.
    days_pass(8)
    assert read(tmp_path, "Ada Stone", "Bob Wood").id == waiting.id
    assert (watch_lists(now=NOW), len(found())) == (0, 1)


def test_who_has_acknowledged_that_a_list_is_old_is_left_alone_for_as_many_days(tmp_path: Path, settings: Any) -> None:
    settings.LIST_MAX_AGE_DAYS = 7
    read(tmp_path, "Ada Stone")
    days_pass(100)
    assert watch_lists(now=NOW) == 1
    Escalation.objects.update(status="resolved", resolved_at=NOW)
    assert watch_lists(now=NOW) == 0
    settings.LIST_MAX_AGE_DAYS = 0
    assert watch_lists(now=NOW) == 0
