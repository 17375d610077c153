"""The pages of lists: what a version changed, who is on it, and the buttons that bring it into force."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from compliance.models import Case, ListVersion, SanctionsEntry
from compliance.services.list_activation import activate_version
from compliance.services.lists import import_list
from compliance.services.rescreening import rescreen_customers
from tests.admin.house import action_url
from tests.support.factories import NOW, make_customer
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db


def imported(tmp_path: Path, text: str) -> ListVersion:
    path = tmp_path / "deny.csv"
    path.write_text(f"id,name,aliases\n{text}")
    made = import_list(actor=system_actor(), path=path, format="internal-csv", name="Deny list", purpose="deny")
    return made.version


def test_two_people_bring_a_version_that_loses_names_into_force(tmp_path: Path, login: Callable[[str], Client]) -> None:
    first = imported(tmp_path, "1,Mallory Fraudster,Mal\n2,<b>Bob</b>,\n")
    activate_version(actor=system_actor(), version_id=first.id, reason="new", now=NOW)
    second = imported(tmp_path, "1,Mallory Fraudster,\n3,Carl,\n")
    officer, senior, auditor = login("Officer"), login("Senior officer"), login("Auditor")
    page = senior.get(f"/admin/compliance/listversion/{second.id}/change/").text
    for shown in ("What it changed", "removed", "&lt;b&gt;Bob&lt;/b&gt;", "Mallory Fraudster", "Carl", "Who decided"):
        assert shown in page
    assert "<b>Bob" not in page
    assert auditor.get(action_url(second, "activate")).status_code == 403
    assert auditor.post(action_url(second, "activate"), {"reason": "x"}).status_code == 403
    asked = officer.get(action_url(second, "activate")).text
    assert "2 entries come or are in other words, 2 go or were in other words (1 are gone altogether, of 2)" in asked
    assert "a second person has to confirm it" in asked
    assert officer.post(action_url(second, "activate"), {"reason": ""}).status_code == 200
    assert "is proposed" in officer.post(action_url(second, "activate"), {"reason": "all right"}, follow=True).text
    assert "Confirm the proposal" not in officer.get(f"/admin/compliance/listversion/{second.id}/change/").text
    form = senior.get(action_url(second, "confirm"))
    assert "all right" in form.text
    proposal = form.context["form"].initial["proposal"]
    stale = senior.post(action_url(second, "confirm"), {"reason": "yes", "proposal": proposal + 1}, follow=True).text
    assert "Look at it again" in stale
    done = senior.post(action_url(second, "confirm"), {"reason": "yes", "proposal": proposal}, follow=True).text
    assert "The version is in force" in done
    assert [version.status for version in ListVersion.objects.order_by("number")] == ["retired", "active"]


def test_entries_are_found_by_how_a_name_begins_and_by_the_lists_id(
    tmp_path: Path, login: Callable[[str], Client]
) -> None:
    imported(tmp_path, "d-77,Mallory Fraudster,Żółty Kot\n2,Bob,\n")
    client = login("Auditor")
    for term in ("mallory f", "żółty", "d-77"):
        page = client.get("/admin/compliance/sanctionsentry/", {"q": term}).text
        assert "Mallory Fraudster" in page, term
        assert "Bob" not in page, term
    assert "Mallory" not in client.get("/admin/compliance/sanctionsentry/", {"q": "fraudster"}).text
    entry = SanctionsEntry.objects.get(external_id="d-77")
    assert "Żółty Kot" in client.get(f"/admin/compliance/sanctionsentry/{entry.id}/change/").text


def test_an_officer_sees_why_a_name_matched_and_what_each_answer_does(
    tmp_path: Path, login: Callable[[str], Client]
) -> None:
    version = imported(tmp_path, "1,<i>Ada</i> Lovelace,Lovelace Ada\n")
    activate_version(actor=system_actor(), version_id=version.id, reason="new", now=NOW)
    ada = make_customer()
    while rescreen_customers(now=NOW):
        pass
    case = Case.objects.get(customer=ada)
    client = login("Officer")
    client.post(action_url(case, "take"))
    page = client.get(f"/admin/compliance/case/{case.id}/change/").text
    for shown in ("Who is on the lists", "Deny list, version 1", "Lovelace", "because of", "another version of a list"):
        assert shown in page, shown
    assert "<i>Ada" not in page
    assert "his open accounts are frozen" in client.get(action_url(case, "reject")).text
    assert "remembered until he or the entry" in client.get(action_url(case, "approve")).text
    assert "name on a list" in client.get("/admin/compliance/case/", {"about": "name_screening", "queue": "all"}).text
    client.post(action_url(case, "approve"), {"reason": "another Ada"})
    shown = client.get(f"/admin/compliance/namescreening/{case.name_screening_id}/change/").text
    for text in ("cleared", "Lovelace", str(case.id)):
        assert text in shown, text
    assert "cleared" in login("Auditor").get(f"/admin/accounts/customer/{ada.id}/change/").text
