"""Lists in versions: imported whole or not at all, brought into force in one commit, by two people where it matters."""

import json
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.staff import PermissionMissing, ReasonRequired
from compliance.models import (
    ListChange,
    ListDecision,
    ListIndex,
    ListVersion,
    Rescreening,
    SanctionsEntry,
    SanctionsList,
    SanctionsName,
    StateChange,
)
from compliance.names import DEFAULT_THRESHOLD, NameIndex, Query
from compliance.services import list_activation as activation
from compliance.services.lists import Imported, ImportedMeanwhile, ListIsAnother, ListNotReadable, import_list
from compliance.verification import checks
from compliance.watchlists import difference, forget_lists, held_by, lists_in_force, look_for
from tests.compliance.lists.files import INTERNAL, OFAC, UN, ofac_copy, spoiled
from tests.compliance.people import at_once, path_of, staff
from tests.support.factories import NOW
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.verification import verify

pytestmark = pytest.mark.django_db


def write(tmp_path: Path, *names: str) -> Path:
    path = tmp_path / "deny.csv"
    path.write_text("id,name\n" + "".join(f"{number},{name}\n" for number, name in enumerate(names, start=1)))
    return path


def deny(path: Path, *, name: str = "Deny list", purpose: str = "deny") -> Imported:
    return import_list(actor=system_actor(), path=path, format="internal-csv", name=name, purpose=purpose)


def activate(version: ListVersion, actor: Actor | None = None) -> ListDecision:
    made = activation.activate_version(actor=actor or system_actor(), version_id=version.id, reason="new", now=NOW)
    version.refresh_from_db()
    return made


def names_held(version: ListVersion) -> set[str]:
    return set(SanctionsName.objects.filter(entry__in=held_by(version).values()).values_list("name", flat=True))


def problems() -> list[str]:
    return [row["problem"] for result in verify(checks(), timeout_seconds=30) for row in result.offending]


def test_ofacs_list_becomes_a_version_with_all_its_entries_and_names() -> None:
    imported = import_list(actor=system_actor(), path=OFAC, format="ofac-csv", name="OFAC SDN", purpose="sanctions")
    version = imported.version
    assert (version.number, version.status, version.entries) == (1, "imported", imported.report.entries)
    assert (version.added, version.changed, version.removed) == (version.entries, 0, 0)
    assert SanctionsEntry.objects.count() == len(held_by(version)) == version.entries
    assert SanctionsName.objects.count() == version.names == sum(imported.report.names.values())
    person = SanctionsEntry.objects.get(external_id="7944")
    assert "1973-09-28" in person.birth_dates
    assert person.details["program"] == "SDGT"
    assert {file["name"] for file in version.report["files"]} == {"sdn.csv", "alt.csv", "add.csv", "sdn_comments.csv"}
    (hit,) = NameIndex.from_bytes(bytes(ListIndex.objects.get(version=version).content)).search(
        Query("Damel Mostafa"), threshold=80
    )
    assert hit.entry == person.id
    assert path_of(version.id, StateChange) == ["imported"]
    again = import_list(actor=system_actor(), path=OFAC, format="ofac-csv", name="OFAC SDN", purpose="sanctions")
    assert (again.new, again.version.id) == (False, version.id)
    assert ListVersion.objects.count() == 1


def test_a_version_says_what_came_and_what_went_and_the_old_one_stays(tmp_path: Path) -> None:
    first = deny(write(tmp_path, "Ada", "Bob", "Cyd")).version
    path = tmp_path / "deny.csv"
    path.write_text("id,name\n4,Dan\n1,Ada\n2,Robert\n")
    second = deny(path).version
    assert (second.number, second.added, second.changed, second.removed) == (2, 1, 1, 1)
    changes = {change.external_id: change.kind for change in ListChange.objects.filter(version=second)}
    assert changes == {"4": "added", "2": "changed", "3": "removed"}
    assert names_held(first) == {"Ada", "Bob", "Cyd"}
    assert names_held(second) == {"Ada", "Robert", "Dan"}
    # What is back is the row that it was.
    third = deny(write(tmp_path, "Ada", "Bob", "Cyd")).version
    assert (third.number, third.digest) == (3, first.digest)
    assert held_by(third) == held_by(first)
    assert SanctionsName.objects.count() == 5
    assert difference(first, third).lost == difference(first, third).gained == 0


def test_a_list_that_is_wrong_leaves_nothing_behind(tmp_path: Path) -> None:
    sdn = spoiled(ofac_copy(tmp_path), ",-0- \r\n", "\r\n")
    with pytest.raises(CommandError, match=r"sdn\.csv, line 1: has 11 fields"):
        call_command("import_list", str(sdn), "--format", "ofac-csv", "--activate")
    with pytest.raises(ListNotReadable):
        import_list(actor=system_actor(), path=sdn, format="ofac", name="x", purpose="sanctions")
    deny(INTERNAL)
    with pytest.raises(ListIsAnother):
        deny(INTERNAL, purpose="allow")
    with pytest.raises(PermissionMissing):
        import_list(actor=staff("Auditor"), path=INTERNAL, format="internal-csv", name="x", purpose="deny")
    assert SanctionsList.objects.values_list("name", flat=True).get() == "Deny list"


def test_a_file_that_changes_between_its_two_readings_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compliance.services import lists

    path = write(tmp_path, "Ada", "Bob")
    chunks = lists._chunks

    def changed(*args: object) -> object:
        write(tmp_path, "Ada", "Bobby")
        return chunks(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(lists, "_chunks", changed)
    with pytest.raises(ListNotReadable, match="was changed while it was read"):
        deny(path)
    assert not SanctionsList.objects.exists()
    assert not SanctionsEntry.objects.exists()


def test_of_imports_at_once_each_number_is_given_once(tmp_path: Path) -> None:
    paths = []
    for number in range(3):
        path = tmp_path / f"{number}.csv"
        path.write_text(f"id,name\n1,Person {number}\n")
        paths.append(path)
    results = at_once(*[lambda path=path: deny(path) for path in paths])  # type: ignore[misc]
    numbers = sorted(result.version.number for result in results if isinstance(result, Imported))
    others = [result for result in results if not isinstance(result, Imported)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(isinstance(other, ImportedMeanwhile) for other in others), others
    assert ListVersion.objects.count() == len(numbers) == SanctionsEntry.objects.count()


def test_what_only_adds_takes_one_person_and_what_takes_off_takes_two(tmp_path: Path) -> None:
    officer, senior = staff("Officer"), staff("Senior officer")
    first = deny(write(tmp_path, "Ada Stone", "Bob Stone")).version
    with pytest.raises(PermissionMissing):
        activate(first, staff("Auditor"))
    with pytest.raises(ReasonRequired):
        activation.activate_version(actor=officer, version_id=first.id, reason=" ", now=NOW)
    assert activate(first, officer).verdict == "activate"
    assert first.status == "active"
    assert Rescreening.objects.get().since is None

    second = deny(write(tmp_path, "Ada Stone")).version
    with pytest.raises(activation.ActivationNeedsPeople):
        activate(second)
    proposal = activate(second, senior)
    assert (proposal.verdict, proposal.against, proposal.lost, second.status) == ("propose", first, 1, "imported")
    answer = {"version_id": second.id, "reason": "fine", "proposal_id": proposal.id}
    with pytest.raises(activation.SecondPersonNeeded):
        activation.confirm_activation(actor=senior, now=NOW, **answer)
    with pytest.raises(PermissionMissing):
        activation.confirm_activation(actor=officer, now=NOW, **answer)
    other = staff("Senior officer")
    activation.decline_activation(actor=other, **answer)
    with pytest.raises(activation.ProposalVoid):
        activation.confirm_activation(actor=other, now=NOW, **answer)
    proposal = activate(second, officer)
    with pytest.raises(activation.NotYourProposal):
        activation.withdraw_activation(actor=senior, version_id=second.id, reason="mine")
    activation.withdraw_activation(actor=officer, version_id=second.id, reason="wait")
    proposal = activate(second, officer)
    done = activation.confirm_activation(
        actor=senior, version_id=second.id, reason="fine", now=NOW, proposal_id=proposal.id
    )
    assert (done.maker_id, done.checker_id) == (officer.principal_id, senior.principal_id)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("retired", "active")
    # Nobody is new on it: there is nobody to look for.
    assert Rescreening.objects.count() == 1
    with pytest.raises(activation.VersionElsewhere):
        activate(second, officer)


def test_a_proposal_is_void_once_another_version_is_in_force(tmp_path: Path) -> None:
    officer, senior = staff("Officer"), staff("Senior officer")
    activate(deny(write(tmp_path, "Ada", "Bob")).version)
    second = deny(write(tmp_path, "Ada")).version
    proposal = activate(second, officer)
    activate(deny(write(tmp_path, "Ada", "Bob", "Cyd")).version)
    with pytest.raises(activation.ProposalVoid):
        activation.confirm_activation(
            actor=senior, version_id=second.id, reason="fine", now=NOW, proposal_id=proposal.id
        )


def test_a_list_of_people_who_are_let_through_always_takes_two(tmp_path: Path) -> None:
    version = deny(write(tmp_path, "Ada"), name="Friends", purpose="allow").version
    with pytest.raises(activation.ActivationNeedsPeople):
        activate(version)
    assert activate(version, staff("Senior officer")).verdict == "propose"
    activation.confirm_activation(actor=staff("Senior officer"), version_id=version.id, reason="yes", now=NOW)
    assert not Rescreening.objects.exists()


def test_the_system_takes_a_publishers_word_unless_a_tenth_is_gone(tmp_path: Path) -> None:
    def sanctions(*names: str) -> ListVersion:
        return deny(write(tmp_path, *names), name="Sanctions", purpose="sanctions").version

    many = [f"Person {number}" for number in range(20)]
    activate(sanctions(*many))
    activate(sanctions(*many[:-2]))
    with pytest.raises(activation.ActivationNeedsPeople) as caught:
        activate(sanctions(*many[:-4]))
    assert caught.value.facts == {"lost": 2, "gone": 2}


def test_activations_at_once_leave_one_version_in_force(tmp_path: Path) -> None:
    first, second = (deny(write(tmp_path, *names)).version for names in (["Ada"], ["Ada", "Bob"]))

    def bring(version: ListVersion) -> object:
        return lambda: activation.activate_version(
            actor=system_actor(), version_id=version.id, reason="race", now=timezone.now()
        )

    results = at_once(bring(second), bring(second), bring(second))  # type: ignore[arg-type]
    assert sorted(type(result).__name__ for result in results) == [
        "ListDecision",
        "VersionElsewhere",
        "VersionElsewhere",
    ]
    third = deny(write(tmp_path, "Ada", "Bob", "Cyd")).version
    fourth = deny(write(tmp_path, "Ada", "Bob", "Cyd", "Dan")).version
    at_once(bring(third), bring(fourth))  # type: ignore[arg-type]
    assert ListVersion.objects.filter(status="active").count() == 1
    assert first.imported_at < fourth.imported_at
    log = StateChange.objects.filter(machine="listversion").order_by("id").values_list("subject_id", "to_state")
    active: set[object] = set()
    for subject, state in log:
        active = (active | {subject}) if state == "active" else active - {subject}
        assert len(active) <= 1


def test_readers_see_the_old_version_or_the_new_one_and_never_both_or_none(tmp_path: Path) -> None:
    versions = [deny(write(tmp_path, *["Ada", "Bob", "Cyd"][:many])).version for many in (1, 2, 3)]
    activate(versions[0])
    seen: list[list[int]] = []

    def read() -> None:
        for _ in range(30):
            forget_lists()
            seen.append([each.number for each in lists_in_force()])

    def bring() -> None:
        for version in versions[1:]:
            activation.activate_version(actor=system_actor(), version_id=version.id, reason="x", now=timezone.now())

    assert at_once(read, bring) == [None, None]
    assert all(len(each) == 1 for each in seen)
    forget_lists()
    assert [each.number for each in lists_in_force()] == [3]


def test_a_process_that_knows_the_lists_asks_again_after_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compliance import watchlists

    now = [100.0]
    monkeypatch.setattr(watchlists.time, "monotonic", lambda: now[0])
    activate(deny(write(tmp_path, "Ada Stone")).version)
    assert [found.hit.name for found in look_for(Query("Stone, Ada"))] == ["Ada Stone"]
    known = lists_in_force()[0]
    activate(deny(write(tmp_path, "Ada Stone", "Bob Stone")).version)
    now[0] += 1.9
    assert look_for(Query("Bob Stone")) == []
    assert lists_in_force()[0] is known
    now[0] += 0.2
    (found,) = look_for(Query("Bob Stone"))
    assert (found.number, found.list_name, found.as_json()["threshold"]) == (2, "Deny list", DEFAULT_THRESHOLD)
    monkeypatch.undo()
    # An index of another release of the matcher is built anew.
    monkeypatch.setattr(
        NameIndex, "from_bytes", classmethod(lambda cls, data: (_ for _ in ()).throw(ValueError("old")))
    )
    forget_lists()
    assert len(look_for(Query("Bob Stone"))) == 1


def test_operators_import_and_search_by_command(tmp_path: Path) -> None:
    out, err = StringIO(), StringIO()
    call_command("screen_name", "Mallory Fraudster", stdout=out, stderr=err)
    assert json.loads(out.getvalue()) == {"lists": [], "threshold": DEFAULT_THRESHOLD, "hits": []}
    assert "No list is in force" in err.getvalue()
    out = StringIO()
    call_command("import_list", str(UN), "--format", "un-xml", "--activate", stdout=out)
    call_command("import_list", str(OFAC), "--format", "ofac-csv", "--activate", stdout=out, stderr=err)
    call_command("import_list", str(INTERNAL), "--format", "internal-csv", "--activate", stdout=out)
    call_command("import_list", str(INTERNAL), "--format", "internal-csv", "--activate", stdout=out)
    told = out.getvalue()
    assert "UN consolidated, version 1 is in force." in told
    assert "Nothing is new: Deny list, version 1 has this content already.\nIt is in force already." in told
    assert "kept under these names alone" in err.getvalue()
    forget_lists()
    out = StringIO()
    call_command("screen_name", "Fraudster Mallory", "--birth-date", "1980", "--country", "GB", stdout=out)
    answer = json.loads(out.getvalue())
    assert [each["list"] for each in answer["lists"]] == ["Deny list", "OFAC SDN", "UN consolidated"]
    assert [(hit["list"], hit["version"]) for hit in answer["hits"]] == [("Deny list", 1)]
    assert answer["hits"][0]["name_score"] == 100
    assert answer["hits"][0]["aligned"]
    for wrong in (["--birth-date", "yesterday"], ["--country", "Atlantis"]):
        with pytest.raises(CommandError):
            call_command("screen_name", "A", *wrong)


def test_what_a_list_said_is_nobodys_to_change(
    tmp_path: Path, app_connection: psycopg.Connection, owner_connection: psycopg.Connection
) -> None:
    path = write(tmp_path, "Ada")
    path.write_text("id,name\nb,Ada\nB,Bob\né,Cyd\na-1,Dan\na 1,Eve\n")
    activate(deny(path).version)
    deny(write(tmp_path, "Bob"))
    for statement in (
        "UPDATE compliance_listversion SET digest = ''",
        "UPDATE compliance_sanctionsname SET name = 'x'",
        "UPDATE compliance_listchange SET kind = 'added'",
        "DELETE FROM compliance_sanctionsentry",
        "UPDATE compliance_sanctionslist SET purpose = 'allow'",
        "UPDATE compliance_listdecision SET reason = ''",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app_connection.execute(statement)
    for statement in (
        "UPDATE compliance_sanctionsname SET name = 'x'",
        "DELETE FROM compliance_listchange",
        "DELETE FROM compliance_listversion",
        "TRUNCATE compliance_sanctionsentry CASCADE",
        "UPDATE compliance_listindex SET content = ''",
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            owner_connection.execute(statement)
    assert problems() == []
    with owner_connection.transaction():
        owner_connection.execute("ALTER TABLE compliance_listchange DISABLE TRIGGER USER")
        owner_connection.execute("DELETE FROM compliance_listchange")
        owner_connection.execute("ALTER TABLE compliance_listchange ENABLE TRIGGER USER")
    assert problems() == ["a list in force that does not hold what its digest says"]
    with pytest.raises(psycopg.errors.UniqueViolation, match="list_has_one_active_version"):
        app_connection.execute("UPDATE compliance_listversion SET status = 'active' WHERE status = 'imported'")
