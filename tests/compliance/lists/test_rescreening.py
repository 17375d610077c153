"""All customers are looked for on what is new on a list: found among them by the database, and nobody left out."""

import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from accounts.models import Customer, ProfileVersion, User
from accounts.services.customers import update_profile
from compliance import matches, name_tokens
from compliance.models import ListVersion, NameMatch, NameTokens, Rescreening, RescreeningCandidate
from compliance.name_tokens import next_names
from compliance.names import TOKENS_MAKING, NameIndex
from compliance.names.evaluation import Labelled, labelled
from compliance.services import kyc, rescreening
from compliance.services.list_activation import activate_version
from compliance.services.lists import import_list
from compliance.services.rescreening import prepare_names, rescreen_customers
from compliance.watchlists import ListInForce, gained_by, index_of_entries
from tests.compliance.people import at_once
from tests.support.factories import NOW, PROFILE, actor_of, make_account, make_customer
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db
MALLORY = replace(PROFILE, first_name="Mallory", last_name="Fraudster")


@pytest.fixture(autouse=True)
def _no_version_is_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescreening, "_last", None)


def in_force(tmp_path: Path, *names: str) -> ListVersion:
    path = tmp_path / "list.csv"
    path.write_text("id,name\n" + "".join(f'"{each}","{each}"\n' for each in names))
    made = import_list(actor=system_actor(), path=path, format="internal-csv", name="The list", purpose="sanctions")
    activate_version(actor=system_actor(), version_id=made.version.id, reason="new", now=NOW)
    return made.version


def rescreen(limit: int | None = None) -> None:
    while rescreen_customers(now=NOW, limit=limit):
        pass


def people(names: Sequence[str]) -> list[Customer]:
    """Customers of these names, made at once; nobody has looked for them."""
    users = User.objects.bulk_create(User(email=f"{uuid4().hex}@example.com") for _ in names)
    customers = Customer.objects.bulk_create(Customer(user=user) for user in users)
    about = {name: value for name, value in PROFILE.values().items() if name not in {"first_name", "last_name"}}
    for customer, name in zip(customers, names, strict=True):
        first, _, last = name.rpartition(" ")
        customer.profile = ProfileVersion(customer=customer, number=1, first_name=first, last_name=last, **about)
    ProfileVersion.objects.bulk_create(customer.profile for customer in customers if customer.profile)
    Customer.objects.bulk_update(customers, ["profile"])
    return customers


def found_one_by_one(version: ListVersion, since: ListVersion | None) -> set[tuple[Any, int, int]]:
    """Every customer, looked for on what came with a version."""
    index: NameIndex = index_of_entries(gained_by(since, version))
    new = ListInForce("The list", "sanctions", version.id, version.number, index)
    customers = Customer.objects.filter(profile__isnull=False).select_related("profile")
    looks = [matches.look(customer.profile, [new]) for customer in customers if customer.profile]
    return {(each.customer_id, hit.entry_id, hit.hit.score) for each in looks for hit in each.hits}


def kept(version: ListVersion) -> set[tuple[Any, int, int]]:
    return set(NameMatch.objects.filter(version=version).values_list("customer_id", "entry_id", "score"))


def test_the_same_are_found_as_one_by_one(tmp_path: Path) -> None:
    chance = random.Random(5)
    rows = [row for row in labelled("tuning") if row.subject == "person" and " " in row.query and '"' not in row.query]
    positives: list[Labelled] = chance.sample([row for row in rows if row.label == "positive"], 120)
    clean = chance.sample([row for row in rows if row.label == "negative"], 120)
    people([row.query for row in positives + clean])
    listed = sorted({row.listed for row in positives})
    first = in_force(tmp_path, *listed[::2])
    rescreen(limit=100)
    one_by_one = found_one_by_one(first, None)
    assert kept(first) == one_by_one
    assert len(one_by_one) > 40
    second = in_force(tmp_path, *listed)
    rescreen()
    one_by_one = found_one_by_one(second, first)
    assert kept(second) == one_by_one
    assert len(one_by_one) > 40
    row = Rescreening.objects.latest("id")
    assert row.screened == Customer.objects.filter(profile__isnull=False).count()
    assert row.matched <= row.candidates < row.screened
    assert not RescreeningCandidate.objects.exists()


def test_a_worker_that_dies_at_any_step_loses_no_more_than_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(["Mallory Stone", "Mallory Wood", "Anna Schmidt", "Mallory Stone", "Mallory Iron"])
    in_force(tmp_path, "Mallory Stone", "Mallory Wood", "Mallory Iron")
    steps = 0

    class Killed(Exception):
        pass

    def killed(*args: object, **kwargs: object) -> None:
        raise Killed

    # Each step is done once in vain, up to where it would be kept, and then by a worker that knows nothing.
    while True:
        with monkeypatch.context() as dies:
            dies.setattr(rescreening, "_went_on", killed)
            try:
                going_on = rescreen_customers(now=NOW, limit=2)
            except Killed:
                going_on = 1
        monkeypatch.setattr(rescreening, "_last", None)
        if not going_on:
            break
        assert rescreen_customers(now=NOW, limit=2) == 1
        steps += 1
    row = Rescreening.objects.get()
    total = Customer.objects.filter(profile__isnull=False).count()
    assert (row.screened, row.candidates, row.matched) == (total, 4, 4)
    assert NameMatch.objects.count() == 4
    assert steps >= 6


def test_who_changes_his_name_or_signs_up_while_a_list_is_looked_at_is_found(tmp_path: Path) -> None:
    """At each step another one takes the name, as soon as his identity is asked for; and one who had it already before
    the list came, and whom nobody has looked for yet."""
    people(["Mallory Fraudster", *["Anna Schmidt"] * 4])
    changing = [make_customer(profile=replace(PROFILE, first_name="Grace", last_name="Hopper")) for _ in range(4)]
    in_force(tmp_path, "Mallory Fraudster")
    expected = 1
    while rescreen_customers(now=NOW, limit=4):
        if changing:
            update_profile(actor=actor_of(changing.pop()), profile=MALLORY, now=NOW)
            signed_up = make_customer(verified=False, profile=MALLORY)
            make_account(signed_up)
            kyc.start_due_checks(now=NOW)
            expected += 2
    assert not changing
    assert NameMatch.objects.values("customer").distinct().count() == expected == 9
    # And the next list finds them all by what was kept then.
    in_force(tmp_path, "Mallory Fraudster", "Fraudster Mallory Junior")
    rescreen()
    assert Rescreening.objects.latest("id").candidates == expected


def test_a_name_that_is_made_ready_late_does_not_replace_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has read a name, another keeps what the customer calls himself since, and then the first one writes."""
    customer = make_customer(profile=replace(PROFILE, first_name="Grace", last_name="Hopper"))
    has_read, may_write = threading.Event(), threading.Event()
    read = rescreening.next_names

    def slowly(**how: Any) -> Any:
        batch = read(**how)
        has_read.set()
        assert may_write.wait(30)
        return batch

    def meanwhile() -> None:
        assert has_read.wait(30)
        monkeypatch.setattr(rescreening, "next_names", read)
        update_profile(actor=actor_of(customer), profile=MALLORY, now=NOW)
        prepare_names(after=None)
        may_write.set()

    monkeypatch.setattr(rescreening, "next_names", slowly)
    assert at_once(lambda: prepare_names(after=None), meanwhile) == [None, None]
    kept = NameTokens.objects.get(customer=customer)
    assert kept.profile_number == 2
    in_force(tmp_path, "Mallory Fraudster")
    rescreen()
    assert NameMatch.objects.get().customer_id == customer.id


def test_names_are_made_ready_again_when_another_release_makes_other_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(["Mallory Fraudster", "Anna Schmidt"])
    in_force(tmp_path, "Mallory Fraudster")
    while Rescreening.objects.get().looked_up_at is None:
        rescreen_customers(now=NOW)
    row = Rescreening.objects.get()
    assert row.made_by == TOKENS_MAKING
    # What the older release made finds nobody, and neither does what it found count.
    with connection.cursor() as cursor:
        cursor.execute("UPDATE compliance_nametokens SET made_by = 0, tokens = '{1,2}'")
        cursor.execute("UPDATE compliance_rescreening SET made_by = 0")
    call_command("prepare_names", verbosity=0)
    assert next_names(after=None, limit=100).missing == []
    assert Rescreening.objects.get().prepared_at is None
    rescreen()
    assert NameMatch.objects.count() == 1
    # Of two releases at work at once the newer one goes on alone.
    in_force(tmp_path, "Mallory Fraudster", "Schmidt, Anna")
    Rescreening.objects.filter(done_at=None).update(made_by=TOKENS_MAKING + 1)
    assert rescreen_customers(now=NOW) == 0
    assert NameMatch.objects.count() == 1


def test_the_database_finds_candidates_by_the_index() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(name_tokens._BY_INDEX)
        cursor.execute(
            "EXPLAIN SELECT customer_id FROM compliance_nametokens WHERE tokens && %s::int[]", [list(range(1_000))]
        )
        planned = "\n".join(row[0] for row in cursor.fetchall())
    assert "name_tokens" in planned
