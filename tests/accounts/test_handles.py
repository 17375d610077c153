"""A customer claims a handle, and others find him by it before they pay."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.utils import timezone
from rest_framework.settings import api_settings

from accounts import selectors
from accounts.handles import RESERVED, HandleInvalid, HandleReserved, claimable, folded, masked_name
from accounts.models import Customer, Handle, StateChange
from accounts.services.accounts import freeze_account
from accounts.services.handles import HandleTaken, TooManyHandleChanges, claim_handle, give_up_handle
from tests.compliance.people import at_once
from tests.support.factories import actor_of, api_client, make_account, make_customer, make_user, reject
from wallet_project.utils.context import system_actor

URL = "/api/v1/me/handle"


def claim(customer: Customer, handle: str) -> Handle:
    return claim_handle(actor=actor_of(customer), handle=handle, now=timezone.now())


def payee(handle: str) -> Customer:
    """A verified customer with an account in euros who has the handle."""
    customer = make_customer()
    make_account(customer)
    claim(customer, handle)
    return customer


@pytest.mark.django_db
def test_a_handle_is_claimed_and_shown() -> None:
    customer = make_customer()
    client = api_client(customer)
    assert client.get("/api/v1/me").json()["handle"] is None
    answer = client.put(URL, {"handle": "@Ada.Lovelace_1"})
    assert (answer.status_code, answer.json()["handle"]) == (200, "ada.lovelace_1")
    assert client.get("/api/v1/me").json() == answer.json(), "what Redis remembered is forgotten"
    [born] = StateChange.objects.filter(machine="handle")
    assert (born.from_state, born.to_state, born.actor_id) == ("", "held", customer.user.principal.id)


@pytest.mark.django_db
def test_the_same_handle_again_changes_nothing() -> None:
    client = api_client(make_customer())
    answers = [client.put(URL, {"handle": handle}) for handle in ("ada", "Ada", "@ADA", "ada", "ada")]
    assert {answer.status_code for answer in answers} == {200}
    assert Handle.objects.count() == 1


@pytest.mark.django_db
def test_another_handle_gives_up_the_one_before() -> None:
    customer = make_customer()
    client = api_client(customer)
    client.put(URL, {"handle": "ada"})
    assert client.put(URL, {"handle": "ada.l"}).json()["handle"] == "ada.l"
    assert client.get("/api/v1/me").json()["handle"] == "ada.l"
    before, now = Handle.objects.order_by("id")
    assert (before.handle, before.status, now.status, now.given_up_at) == ("ada", "given_up", "held", None)
    assert before.given_up_at is not None


@pytest.mark.django_db
def test_a_handle_is_given_up_and_can_be_had_back_by_who_had_it() -> None:
    customer = make_customer()
    client = api_client(customer)
    client.put(URL, {"handle": "ada"})
    assert (client.delete(URL).status_code, client.delete(URL).status_code) == (204, 204)
    assert client.get("/api/v1/me").json()["handle"] is None
    assert client.put(URL, {"handle": "ada"}).json()["handle"] == "ada"
    assert list(Handle.objects.order_by("id").values_list("status", flat=True)) == ["given_up", "held"]


@pytest.mark.django_db
def test_a_handle_is_one_customers() -> None:
    claim(make_customer(), "ada")
    refused = api_client(make_customer()).put(URL, {"handle": "ADA"})
    assert (refused.status_code, refused.json()["code"]) == (409, "handle_taken")


@pytest.mark.django_db
def test_a_handle_that_was_given_up_is_nobody_elses_for_two_years(owner_connection: Any) -> None:
    before, after = make_customer(), make_customer()
    claim(before, "ada")
    give_up_handle(actor=actor_of(before))
    with pytest.raises(HandleTaken):
        claim(after, "ada")
    _age(owner_connection, "729 days")
    with pytest.raises(HandleTaken):
        claim(after, "ada")
    _age(owner_connection, "732 days")
    assert claim(after, "ada").customer == after
    with pytest.raises(HandleTaken):
        claim(before, "ada")


def _age(owner_connection: "psycopg.Connection[Any]", ago: str) -> None:
    """Let what was given up have been given up so long ago."""
    with owner_connection.transaction():
        owner_connection.execute("ALTER TABLE accounts_handle DISABLE TRIGGER handle_is_immutable")
        owner_connection.execute(f"UPDATE accounts_handle SET given_up_at = now() - interval '{ago}'")
        owner_connection.execute("ALTER TABLE accounts_handle ENABLE TRIGGER handle_is_immutable")


@pytest.mark.django_db
def test_a_handle_may_change_so_often_a_year() -> None:
    customer = make_customer()
    client = api_client(customer)
    for handle in ("ada1", "ada2", "ada3"):
        assert client.put(URL, {"handle": handle}).status_code == 200
    refused = client.put(URL, {"handle": "ada4"})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_handle_changes")
    assert 364 * 86400 < int(refused["Retry-After"]) <= 365 * 86400
    assert client.get("/api/v1/me").json()["handle"] == "ada3", "what he had stays his"
    assert client.put(URL, {"handle": "ada3"}).status_code == 200
    later = timezone.now() + timedelta(days=366)
    assert claim_handle(actor=actor_of(customer), handle="ada4", now=later).handle == "ada4"


@pytest.mark.django_db
def test_a_refused_claim_does_not_count(settings: Any) -> None:
    settings.HANDLE_CLAIMS_PER_YEAR = 1
    claim(make_customer(), "taken")
    customer = make_customer()
    with pytest.raises(HandleTaken):
        claim(customer, "taken")
    claim(customer, "free")
    with pytest.raises(TooManyHandleChanges):
        claim(customer, "freer")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"handle": None},
        {"handle": 1234},
        {"handle": ""},
        {"handle": "ab"},
        {"handle": "a" * 31},
        {"handle": "1ada"},
        {"handle": "_ada"},
        {"handle": ".ada"},
        {"handle": "@@ada"},
        {"handle": "ada-l"},
        {"handle": "ada l"},
        {"handle": "ada\n"},
        {"handle": "ada\t"},
        {"handle": "\u212aate"},
        {"handle": "\u0430da"},
        {"handle": "ad\u0131"},
        {"handle": "ada", "name": "Ada"},
    ],
)
def test_what_is_no_handle_is_refused(body: Any) -> None:
    answer = api_client(make_customer()).put(URL, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert not Handle.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("handle", ["support", "Admin", "sup_port", "wallet.2026", "s.t.a.f.f", "me_"])
def test_reserved_words_are_refused(handle: str) -> None:
    answer = api_client(make_customer()).put(URL, {"handle": handle})
    assert (answer.status_code, answer.json()["code"]) == (422, "handle_reserved")


def test_handles_are_folded_before_they_are_compared() -> None:
    assert folded("@Mia_E.99") == "mia_e.99"
    assert folded("\u212aate") is None, "the sign of Kelvin folds to a k"
    assert claimable("A" + "b" * 29) == "a" + "b" * 29
    assert claimable("abc") == "abc"
    with pytest.raises(HandleInvalid) as refused:
        claimable("no handle")
    assert list(refused.value.fields) == ["handle"]
    for word in RESERVED:
        if folded(word):
            with pytest.raises(HandleReserved):
                claimable(word)


@pytest.mark.parametrize(
    ("first", "last", "masked"),
    [
        ("Mia", "Example", "Mia E******"),
        ("Ada", "Lo", "Ada L******"),
        ("\u97ff", "\u7530", "\u97ff \u7530******"),
        ("Zoe", "e\u0301toile", "Zoe \u00e9******"),
        ("Zoe", "x\u0302\u0323yz", "Zoe x\u0323\u0302******"),
    ],
)
def test_of_a_name_the_first_and_an_initial_are_told(first: str, last: str, masked: str) -> None:
    assert masked_name(first, last) == masked


@pytest.mark.django_db
def test_a_payee_is_found_by_his_handle() -> None:
    customer = payee("ada")
    make_account(customer, "USD")
    make_account(customer, "USD")
    client = api_client(make_customer())
    everything = {"handle": "ada", "name": "Ada L******", "currencies": ["EUR", "USD"]}
    for written in ("ada", "@ada", "ADA"):
        assert client.get(f"/api/v1/payees/{written}").json() == everything
    assert client.get("/api/v1/payees/ada?currency=USD").json() == {**everything, "currencies": ["USD"]}


@pytest.mark.django_db
def test_the_name_is_the_one_that_was_verified(django_assert_num_queries: Any) -> None:
    client = api_client(make_customer())
    payee("ada")
    client.get("/api/v1/me")
    with django_assert_num_queries(1):
        assert client.get("/api/v1/payees/ada").json()["name"] == "Ada L******"


def _unverified() -> None:
    claim(make_customer(verified=False), "ada")


def _requested_only() -> None:
    customer = make_customer(verified=False)
    make_account(customer)
    claim(customer, "ada")


def _without_account() -> None:
    claim(make_customer(), "ada")


def _frozen() -> None:
    customer = payee("ada")
    account = customer.accounts.get()
    freeze_account(account_id=account.id, actor=system_actor(), reason="asked by the police")


def _rejected_since() -> None:
    reject(payee("ada"))


def _given_up() -> None:
    give_up_handle(actor=actor_of(payee("ada")))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "prepare", [lambda: None, _unverified, _requested_only, _without_account, _frozen, _rejected_since, _given_up]
)
def test_who_can_not_be_paid_is_not_there(prepare: Callable[[], None]) -> None:
    """And nothing in the answer tells one reason from another."""
    prepare()
    answer = api_client(make_customer()).get("/api/v1/payees/ada")
    assert (answer.status_code, answer.json()["code"]) == (404, "payee_not_found")
    assert "ada" not in answer.json()["detail"].lower()
    with pytest.raises(selectors.PayeeNotFound):
        selectors.account_of_handle("ada", "EUR")


@pytest.mark.django_db
def test_who_keeps_another_currency_is_not_there_in_this_one() -> None:
    payee("ada")
    client = api_client(make_customer())
    assert client.get("/api/v1/payees/ada?currency=USD").json()["code"] == "payee_not_found"
    with pytest.raises(selectors.PayeeNotFound):
        selectors.account_of_handle("ada", "USD")
    for wrong in ("eur", "XXX", "", "EUR%00"):
        answer = client.get(f"/api/v1/payees/ada?currency={wrong}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert client.get("/api/v1/payees/ada?curency=EUR").json()["code"] == "unknown_parameter"
    assert client.get("/api/v1/payees/ada?currency=EUR&currency=USD").json()["code"] == "repeated_parameter"


@pytest.mark.django_db
@pytest.mark.parametrize("handle", ["x", "%00", "ada%20l", "1", "@@ada", "a" * 300, "%F0%9F%92%B8"])
def test_what_is_no_handle_is_nobodys(handle: str) -> None:
    answer = api_client(make_customer()).get(f"/api/v1/payees/{handle}")
    assert (answer.status_code, answer.json()["code"]) == (404, "payee_not_found")


@pytest.mark.django_db
def test_money_for_a_handle_goes_to_the_oldest_open_account_in_its_currency() -> None:
    customer = make_customer()
    oldest, second = make_account(customer), make_account(customer)
    make_account(customer, "USD")
    claim(customer, "ada")
    assert selectors.account_of_handle("@Ada", "EUR") == oldest.id
    freeze_account(account_id=oldest.id, actor=system_actor(), reason="because")
    assert selectors.account_of_handle("ada", "EUR") == second.id


@pytest.mark.django_db
def test_handles_are_for_customers() -> None:
    client = api_client(make_user(is_staff=True))
    for answer in (client.put(URL, {"handle": "ada"}), client.delete(URL), client.get("/api/v1/payees/ada")):
        assert (answer.status_code, answer.json()["code"]) == (403, "not_a_customer")
    nobody = api_client()
    for answer in (nobody.put(URL, {"handle": "ada"}), nobody.delete(URL), nobody.get("/api/v1/payees/ada")):
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


@pytest.mark.django_db
@pytest.mark.parametrize(("scope", "path"), [("payees", "/api/v1/payees/somebody1"), ("handle", URL)])
def test_trying_handles_out_is_slowed_down(monkeypatch: pytest.MonkeyPatch, scope: str, path: str) -> None:
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, scope, "2/hour")
    client = api_client(make_customer())
    call = client.get if scope == "payees" else client.delete
    answers = [call(path) for _ in range(3)]
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1]["Retry-After"]) <= 3600
    assert 429 not in [answer.status_code for answer in answers[:2]]
    assert client.get("/api/v1/me").status_code == 200


def test_the_rates_are_for_people_and_not_for_lists_of_names() -> None:
    rates = api_settings.DEFAULT_THROTTLE_RATES
    assert (rates["payees"], rates["handle"]) == ("200/hour", "20/hour")


@pytest.mark.django_db
def test_twenty_at_once_who_claim_one_handle_have_one_winner() -> None:
    customers = [make_customer() for _ in range(20)]
    clients = [api_client(customer) for customer in customers]
    answers = at_once(*[partial(client.put, URL, {"handle": "ada"}) for client in clients])
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    [held] = Handle.objects.all()
    winner = [answer.status_code for answer in answers].index(200)
    assert held.customer == customers[winner]


@pytest.mark.django_db
def test_one_customer_who_claims_twenty_at_once_has_one_and_no_more_than_may_be() -> None:
    customer = make_customer()
    clients = [api_client(customer) for _ in range(20)]
    answers = at_once(*[partial(client.put, URL, {"handle": f"ada{n}"}) for n, client in enumerate(clients)])
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 17
    assert Handle.objects.filter(given_up_at=None).count() == 1


@pytest.mark.django_db
def test_who_claims_while_another_gives_up_does_not_get_it() -> None:
    for _ in range(5):
        handle = f"ada{uuid4().hex[:8]}"
        before, after = make_customer(), make_customer()
        claim(before, handle)
        _, refused = at_once(
            partial(give_up_handle, actor=actor_of(before)),
            partial(claim_handle, actor=actor_of(after), handle=handle, now=timezone.now()),
        )
        assert isinstance(refused, HandleTaken)


@pytest.mark.django_db
def test_each_call_costs_so_many_queries(django_assert_num_queries: Any) -> None:
    client = api_client(make_customer())
    client.get("/api/v1/me")
    # Between BEGIN and COMMIT: the customer, the one he holds, how many there were, the row, its birth; then who he is.
    with django_assert_num_queries(8):
        assert client.put(URL, {"handle": "ada"}).status_code == 200
    # The customer, the one he holds, its end, that logged.
    with django_assert_num_queries(6):
        assert client.delete(URL).status_code == 204


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change", ["handle = 'eve'", "customer_id = gen_random_uuid()", "claimed_at = now()", "id = gen_random_uuid()"]
)
def test_who_held_a_handle_when_does_not_change(
    owner_connection: "psycopg.Connection[Any]", app_connection: "psycopg.Connection[Any]", change: str
) -> None:
    claim(make_customer(), "ada")
    with pytest.raises(psycopg.errors.CheckViolation, match="a handle keeps its customer"):
        owner_connection.execute(f"UPDATE accounts_handle SET {change}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute(f"UPDATE accounts_handle SET {change}")


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["given_up_at = NULL, status = 'held'", "given_up_at = now() - interval '3 years'"])
def test_a_handle_that_was_given_up_stays_given_up(owner_connection: "psycopg.Connection[Any]", change: str) -> None:
    customer = make_customer()
    claim(customer, "ada")
    give_up_handle(actor=actor_of(customer))
    with pytest.raises(psycopg.errors.CheckViolation):
        owner_connection.execute(f"UPDATE accounts_handle SET {change}")


@pytest.mark.django_db
def test_the_database_refuses_what_would_be_wrong(
    owner_connection: "psycopg.Connection[Any]", app_connection: "psycopg.Connection[Any]"
) -> None:
    one, other = make_customer(), make_customer()
    claim(one, "ada")
    insert = (
        "INSERT INTO accounts_handle (id, customer_id, handle, status, given_up_at) "
        "VALUES (gen_random_uuid(), %s, %s, {})"
    )
    held, given_up = insert.format("'held', NULL"), insert.format("'given_up', now()")
    with pytest.raises(psycopg.errors.UniqueViolation, match="handle_belongs_to_one_customer"):
        app_connection.execute(held, [other.id, "ada"])
    with pytest.raises(psycopg.errors.UniqueViolation, match="handle_one_per_customer"):
        app_connection.execute(held, [one.id, "ada2"])
    with pytest.raises(psycopg.errors.CheckViolation, match="may not go from"):
        app_connection.execute(given_up, [other.id, "eve"])
    with pytest.raises(psycopg.errors.CheckViolation, match="handle_given_up_at_a_time"):
        app_connection.execute("UPDATE accounts_handle SET status = 'given_up'")
    for wrong in ("Ada", "a", "ada-l", "1ada", "ada\n"):
        with pytest.raises(psycopg.errors.CheckViolation, match="handle_has_its_form"):
            app_connection.execute(held, [other.id, wrong])
    give_up_handle(actor=actor_of(one))
    with pytest.raises(psycopg.errors.CheckViolation, match="not long ago"):
        app_connection.execute(held, [other.id, "ada"])
    for connection, error in (
        (owner_connection, psycopg.errors.CheckViolation),
        (app_connection, psycopg.errors.InsufficientPrivilege),
    ):
        for statement in ("DELETE FROM accounts_handle", "TRUNCATE accounts_handle"):
            with pytest.raises(error):
                connection.execute(statement)
