"""The facts as SQL counts them, against the same thing said in plain Python over random histories."""

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection

from accounts.models import Account, Customer
from compliance.facts import facts_of
from compliance.limits import limits_in_force
from compliance.rules import Facts
from tests.support import money
from tests.support.function_plans import plan_inside
from wallet_project.utils.context import SYSTEM_PRINCIPAL_ID

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass
class Row:
    """A transaction as it is put straight into the table, at a time of the test's choosing."""

    at: datetime
    debit: Account
    credit: Account
    amount: int
    kind: str = "transfer"
    failed: bool = False
    #: How long it was pending before it failed; not at all where it was refused.
    lived: timedelta = timedelta()
    approved: bool = False
    group: UUID | None = None
    iban: str = ""
    captured: int | None = None
    id: UUID = field(init=False)

    def __post_init__(self) -> None:
        milliseconds = int(self.at.timestamp() * 1000)
        self.id = UUID(int=(milliseconds << 80) | (0x7 << 76) | (0b10 << 62) | secrets.randbits(62))

    @property
    def unit(self) -> UUID:
        return self.group or self.id

    @property
    def bank(self) -> str:
        return self.iban.replace(" ", "").upper()

    @property
    def outgoing(self) -> bool:
        return self.debit.customer_id is not None

    @property
    def customer(self) -> UUID | None:
        return self.debit.customer_id or self.credit.customer_id


def insert(connection: "psycopg.Connection[Any]", rows: list[Row]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO ledger_transaction (id, kind, status, debit_account_id, credit_account_id, amount, currency,
                   group_id, initiator_id, reference, metadata, beneficiary, failure, created_at, approved_at,
                   failed_at, captured_amount, captured_at, expires_at, waited)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, '', '{}', %s, %s, %s, %s, %s, %s, %s, %s,
                   ledger_wait(%s, NULL, %s))""",
            [
                (
                    row.id,
                    row.kind,
                    "failed" if row.failed else "pending",
                    row.debit.id,
                    row.credit.id,
                    row.amount,
                    row.debit.currency,
                    row.group,
                    SYSTEM_PRINCIPAL_ID,
                    json.dumps({"name": "Somebody", "iban": row.iban}) if row.iban else None,
                    "insufficient_funds" if row.failed else "",
                    row.at,
                    row.at if row.approved else None,
                    row.at + row.lived if row.failed else None,
                    row.captured,
                    row.at if row.captured else None,
                    row.at + DAY if row.captured else None,
                    row.at,
                    row.at + row.lived if row.failed else None,
                )
                for row in rows
            ],
        )
        cursor.execute(_COUNT)


#: What was asked of each account before each of its payments, as posting would have counted it.
_COUNT = """
    ALTER TABLE ledger_transaction DISABLE TRIGGER USER;
    CREATE TEMPORARY TABLE counted ON COMMIT DROP AS
        SELECT t.id, d.id AS account, born.pending AS counts, t.amount * leaves.so AS away,
               count(*) FILTER (WHERE born.pending) OVER earlier AS debits,
               coalesce(sum(t.amount * leaves.so) FILTER (WHERE born.pending) OVER earlier, 0) AS sent
        FROM ledger_transaction t
        JOIN accounts_account d ON d.id = t.debit_account_id AND d.kind = 'customer'
        JOIN accounts_account c ON c.id = t.credit_account_id
        CROSS JOIN LATERAL (SELECT t.kind <> 'fee' AND (t.failed_at > t.created_at) IS NOT FALSE AS pending) born
        CROSS JOIN LATERAL (SELECT (c.customer_id IS DISTINCT FROM d.customer_id)::int AS so) leaves
        WINDOW earlier AS (
            PARTITION BY d.id ORDER BY t.created_at, t.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING);
    UPDATE ledger_transaction t SET debits_before = c.debits, sent_before = c.sent FROM counted c WHERE c.id = t.id;
    UPDATE accounts_account a SET debits = c.debits, sent = c.sent
    FROM (SELECT account, count(*) AS debits, sum(away) AS sent FROM counted WHERE counts GROUP BY account) c
    WHERE c.account = a.id;
    DROP TABLE counted;
    ALTER TABLE ledger_transaction ENABLE TRIGGER USER;
"""


def model(row: Row, rows: list[Row], rejected: set[UUID]) -> Facts:
    """What the facts of `row` are, by their definitions."""
    limits = limits_in_force()[row.debit.currency]

    def just_under(amount: int) -> bool:
        return any(low <= amount < high for low, high in limits.bands())

    def to_own_account(other: Row) -> bool:
        return other.debit.customer_id is not None and other.debit.customer_id == other.credit.customer_id

    earlier = [
        other
        for other in rows
        if other is not row and not other.failed and other.at <= row.at and "fee" not in (row.kind, other.kind)
    ]
    debits = [other for other in earlier if other.outgoing and other.debit.customer_id == row.customer]
    deposits = [other for other in earlier if other.kind == "deposit" and other.credit.customer_id == row.customer]
    same_way = debits if row.outgoing else deposits
    today = [other for other in same_way if other.at >= row.at - DAY and other.debit.currency == row.debit.currency]
    known = None
    if row.outgoing and not to_own_account(row) and row.amount >= limits.first_payment_amount:
        paid = [other for other in debits if other.approved and other.at < row.at]
        if row.credit.customer_id:
            known = any(other.credit.customer_id == row.credit.customer_id for other in paid)
    same_iban = [other for other in debits if other.approved and other.at < row.at and other.bank == row.bank]
    account = row.debit if row.outgoing else row.credit
    tried = [
        other.at
        for other in rows
        if other.outgoing and other.kind != "fee" and other.debit.customer_id == row.customer and other.at < row.at
    ]
    last = max(tried, default=account.created_at)
    return Facts(
        kind=row.kind,
        outgoing=row.outgoing,
        amount=row.amount,
        currency=row.debit.currency,
        identity_rejected=row.customer in rejected,
        account_age_seconds=max(0, int((row.at - account.created_at).total_seconds() // 1)),
        debits_1h=sum(other.at >= row.at - HOUR for other in debits) if row.outgoing else 0,
        out_24h=sum(other.captured or other.amount for other in today if not to_own_account(other))
        if row.outgoing
        else 0,
        to_own_account=to_own_account(row),
        just_under_24h=sum(just_under(other.amount) for other in today) if just_under(row.amount) else 0,
        counterparty_known=known,
        beneficiary_first_use=row.kind == "withdrawal" and not same_iban,
        debits_24h=sum(other.at >= row.at - DAY for other in debits) if row.outgoing else 0,
        debits_30d=sum(other.at >= row.at - 30 * DAY for other in debits) if row.outgoing else 0,
        out_30d=sum(
            other.captured or other.amount
            for other in debits
            if row.outgoing
            and other.at >= row.at - 30 * DAY
            and other.debit.currency == row.debit.currency
            and not to_own_account(other)
        ),
        days_idle=max(0, (row.at - last).days) if row.outgoing and row.kind != "fee" else 0,
        # These rows have no entries, so nothing has cleared.
        in_24h=0
        if row.outgoing and row.kind != "fee" and not to_own_account(row) and row.amount >= limits.first_payment_amount
        else None,
        party_matched=False,
        destination_score=0,
        customer_risk=0,
    )


@dataclass
class World:
    rejected: Customer
    customers: list[Customer]
    accounts: dict[str, list[Account]]
    settlement: dict[str, Account]


@pytest.fixture
def world(db: None) -> World:
    customers = [money.new_customer() for _ in range(4)]
    rejected = customers[-1]
    Customer.objects.filter(id=rejected.id).update(kyc_status="pending")
    Customer.objects.filter(id=rejected.id).update(kyc_status="rejected")
    accounts = {
        currency: [
            money.new_account(customer=customer, currency=currency)
            for customer in customers
            for _ in range(2 if currency == "EUR" else 1)
        ]
        for currency in ("EUR", "JPY")
    }
    for account in [account for of_currency in accounts.values() for account in of_currency]:
        account.refresh_from_db()
    return World(rejected, customers, accounts, {currency: money.system(currency) for currency in accounts})


def random_row(world: World, rng: Random, start: datetime) -> Row:
    currency = rng.choice(["EUR", "EUR", "JPY"])
    # A coarse grid, so that windows often begin exactly where something happened, and things happen together.
    at = start + timedelta(minutes=20 * rng.randrange(150), seconds=rng.choice([0, 0, 0, 1]))
    at -= rng.choice([timedelta(), timedelta(), 29 * DAY])
    amount = rng.choice([1, 20_00, 2_249_99, 2_250_00, 2_500_00, 4_750_00, 5_000_00, 9_000_00, 9_999_99, 10_000_00])
    kind = rng.choice(["transfer", "transfer", "transfer", "deposit", "withdrawal", "fee"])
    debit, credit = rng.sample(world.accounts[currency], 2)
    if kind == "deposit":
        debit = world.settlement[currency]
    if kind in ("withdrawal", "fee"):
        credit = world.settlement[currency]
    failed, lived = rng.random() < 0.2, rng.choice([timedelta(), HOUR])
    refused = failed and not lived
    captured = rng.choice([None, None, amount // 2 or 1]) if kind == "transfer" and not refused else None
    iban = rng.choice(["DE89 3704 0044 0532 0130 00", "de89370400440532013000", "FR1420041010050500013M02606"])
    return Row(
        at=at,
        debit=debit,
        credit=credit,
        amount=amount,
        kind=kind,
        failed=failed,
        lived=lived,
        approved=captured is not None or rng.random() < 0.4,
        iban=iban if kind == "withdrawal" else "",
        captured=captured,
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_facts_are_what_their_definitions_say(
    world: World, owner_connection: "psycopg.Connection[Any]", seed: int
) -> None:
    rng = Random(seed)
    start = datetime.now(UTC).replace(microsecond=0) - DAY
    rows = [random_row(world, rng, start) for _ in range(300)]
    group = Row(start + HOUR, *world.accounts["EUR"][:2], 1).id
    together = start + timedelta(hours=30)
    rows += [
        Row(together, world.accounts["EUR"][0], credit, 2_600_00, group=group) for credit in world.accounts["EUR"][2:6]
    ]
    insert(owner_connection, rows)
    by_id = {row.id: row for row in rows}
    units = sorted({row.unit for row in rows})
    rng.shuffle(units)
    seen = 0
    # Batches of any size see the same facts: the other units of a batch are only company.
    while units:
        batch, units = units[:40], units[40:]
        for leg in facts_of(batch, limits_in_force()):
            row = by_id[leg.transaction_id]
            assert leg.facts == model(row, rows, {world.rejected.id}), row
            assert (leg.unit_id, leg.customer_id) == (row.unit, row.customer)
            seen += 1
    assert seen == sum(not row.failed for row in rows)


def test_windows_begin_where_they_say_and_end_with_the_transaction(
    world: World, owner_connection: "psycopg.Connection[Any]"
) -> None:
    mine, own, theirs = world.accounts["EUR"][0], world.accounts["EUR"][1], world.accounts["EUR"][2]
    now = datetime.now(UTC).replace(microsecond=0)
    asked = Row(now, mine, theirs, 2_400_00)
    tick = timedelta(microseconds=1)
    rows = [
        asked,
        Row(now - HOUR, own, theirs, 1),
        Row(now - HOUR - tick, own, theirs, 10),
        Row(now - DAY, mine, theirs, 100),
        Row(now - DAY - tick, mine, theirs, 1000),
        Row(now + tick, mine, theirs, 10_000),
        Row(now, mine, theirs, 100_000, failed=True),
    ]
    insert(owner_connection, rows)
    [leg] = facts_of([asked.id], limits_in_force())
    assert (leg.facts.debits_1h, leg.facts.out_24h) == (1, 111)


def test_the_age_of_the_account_is_counted_from_its_request(
    world: World, owner_connection: "psycopg.Connection[Any]"
) -> None:
    account = world.accounts["EUR"][0]
    week = timedelta(days=7)
    young = Row(account.created_at + week - timedelta(seconds=1), account, world.accounts["EUR"][2], 1)
    old = Row(account.created_at + week, account, world.accounts["EUR"][2], 1)
    insert(owner_connection, [young, old])
    ages = [leg.facts.account_age_seconds for leg in facts_of([young.id, old.id], limits_in_force())]
    assert ages == [7 * 24 * 3600 - 1, 7 * 24 * 3600]


def test_units_that_have_ended_or_never_were_have_no_facts(
    world: World, owner_connection: "psycopg.Connection[Any]"
) -> None:
    failed = Row(datetime.now(UTC), *world.accounts["EUR"][:2], 1, failed=True)
    insert(owner_connection, [failed])
    assert facts_of([failed.id, SYSTEM_PRINCIPAL_ID], limits_in_force()) == []


def test_a_long_history_costs_a_window_and_no_more(world: World, owner_connection: "psycopg.Connection[Any]") -> None:
    """The plan reads ledger_transaction by account, never as a whole, nor all that others did that day."""
    mine, theirs = world.accounts["EUR"][0], world.accounts["EUR"][2]
    now = datetime.now(UTC)
    asked = Row(now, mine, theirs, 2_600_00)
    insert(owner_connection, [asked])
    owner_connection.execute(
        """INSERT INTO accounts_account (id, kind, purpose, customer_id, currency, label, status, status_reason,
               cleared, reserved, last_sequence)
           SELECT gen_random_uuid(), 'customer', '', %s, 'EUR', 'one of many', 'requested', '', 0, 0, 0
           FROM generate_series(1, 1000)""",
        [world.customers[2].id],
    )
    owner_connection.execute(
        """INSERT INTO ledger_transaction (id, kind, status, debit_account_id, credit_account_id, amount, currency,
               initiator_id, reference, metadata, failure, created_at)
           SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0')
                      || '7' || substr(md5(random()::text), 1, 19))::uuid,
                  'transfer', 'pending', a.id, coalesce(a.next, %s), 1, 'EUR', %s, '', '{}', '', at
           FROM (SELECT id, lead(id) OVER (ORDER BY id) AS next FROM accounts_account WHERE label = 'one of many') AS a
           CROSS JOIN LATERAL (
               SELECT now() - n * interval '1 hour' AS at FROM generate_series(1, 30) AS n
           ) AS times""",
        [theirs.id, SYSTEM_PRINCIPAL_ID],
    )
    owner_connection.execute("ANALYZE ledger_transaction, accounts_account")
    captured: list[Any] = []

    def remember(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        captured.append(params)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(remember):
        [leg] = facts_of([asked.id], limits_in_force())
    assert leg.facts.debits_1h == 0
    plan = json.dumps(plan_inside("compliance_facts", captured[0]))
    assert "Seq Scan" not in plan, plan
    assert "transaction_by_debit_account" in plan, plan
    assert '"Index Cond": "(id >= ' not in plan, plan


def test_what_came_in_within_a_day_is_told_of_amounts_that_matter(
    owner_connection: "psycopg.Connection[Any]",
) -> None:
    customer = money.new_customer()
    payer, own = money.new_account(9_000_00, customer=customer), money.new_account(customer=customer)
    stranger = money.new_account(5_000_00)
    money.post_now("transfer", payer, own, 1_000_00)
    money.post_now("transfer", stranger, own, 3_000_00)
    money.post_now("transfer", stranger, payer, 500_00)
    money.post_now("transfer", payer, stranger, 200_00)

    def came_in(amount: int) -> int | None:
        asked = money.transfer(payer, stranger, amount)
        [leg] = facts_of([asked.transactions[0].id], limits_in_force())
        return leg.facts.in_24h

    assert came_in(2_499_99) is None
    # The funding of the payer, and what the stranger sent to both accounts.
    assert came_in(2_500_00) == 9_000_00 + 3_000_00 + 500_00
    owner_connection.execute("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
    owner_connection.execute(
        "UPDATE ledger_entry SET created_at = created_at - interval '25 hours' WHERE account_id = %s AND sequence = 1",
        [payer.id],
    )
    assert came_in(2_500_00) == 3_000_00 + 500_00


def _first_use(row: Row) -> bool:
    [leg] = facts_of([row.id], limits_in_force())
    return leg.facts.beneficiary_first_use


def test_the_first_use_of_a_bank_account_is_told_whatever_the_amount(
    world: World, owner_connection: "psycopg.Connection[Any]"
) -> None:
    mine, also_mine, theirs = world.accounts["EUR"][:3]
    settlement, now = world.settlement["EUR"], datetime.now(UTC)
    asked = Row(now, mine, settlement, 1, kind="withdrawal", iban="DE89370400440532013000")
    insert(owner_connection, [asked])
    assert _first_use(asked)
    by_others = [
        Row(now - DAY, theirs, settlement, 1, kind="withdrawal", approved=True, iban=asked.iban),
        Row(now - DAY, mine, settlement, 1, kind="withdrawal", approved=True, iban="FR1420041010050500013M02606"),
        Row(now - DAY, mine, settlement, 1, kind="withdrawal", iban=asked.iban),
        Row(now - DAY, mine, settlement, 1, kind="withdrawal", approved=True, failed=True, iban=asked.iban),
        Row(now + HOUR, mine, settlement, 1, kind="withdrawal", approved=True, iban=asked.iban),
        Row(now - DAY, mine, theirs, 1, approved=True),
    ]
    insert(owner_connection, by_others)
    assert _first_use(asked), "somebody else's, to elsewhere, undecided, failed and later ones are no use before"
    insert(
        owner_connection,
        [Row(now - 400 * DAY, also_mine, settlement, 1, kind="withdrawal", approved=True, iban=asked.iban)],
    )
    assert not _first_use(asked), "an old one from another account of the customer's is"


def test_what_is_no_withdrawal_uses_no_bank_account(world: World, owner_connection: "psycopg.Connection[Any]") -> None:
    transfer = Row(datetime.now(UTC), world.accounts["EUR"][0], world.accounts["EUR"][2], 9_000_00)
    deposit = Row(datetime.now(UTC), world.settlement["EUR"], world.accounts["EUR"][0], 1, kind="deposit")
    insert(owner_connection, [transfer, deposit])
    assert [_first_use(row) for row in (transfer, deposit)] == [False, False]


@pytest.mark.thorough
def test_the_first_use_is_found_by_an_index_however_many_withdrawals_there_were(
    world: World, owner_connection: "psycopg.Connection[Any]"
) -> None:
    mine, now = world.accounts["EUR"][0], datetime.now(UTC)
    asked = Row(now, mine, world.settlement["EUR"], 1, kind="withdrawal", iban="DE89370400440532013000")
    insert(owner_connection, [asked])
    owner_connection.execute(
        """INSERT INTO ledger_transaction (id, kind, status, debit_account_id, credit_account_id, amount, currency,
               initiator_id, reference, metadata, beneficiary, failure, created_at)
           SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0')
                      || '7' || substr(md5(random()::text), 1, 19))::uuid,
                  'withdrawal', 'pending', %s, %s, 1, 'EUR', %s, '', '{}',
                  jsonb_build_object('name', 'Ada', 'iban', 'FR' || lpad(n::text, 25, '0')), '', at
           FROM (SELECT n, now() - interval '2 days' - n * interval '1 minute' AS at
                 FROM generate_series(1, 20000) AS n) AS before""",
        [mine.id, world.settlement["EUR"].id, SYSTEM_PRINCIPAL_ID],
    )
    owner_connection.execute("ANALYZE ledger_transaction, accounts_account")
    captured: list[Any] = []

    def remember(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        captured.append(params)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(remember):
        assert _first_use(asked)
    plan = str(plan_inside("compliance_facts", captured[0]))
    assert "transaction_by_beneficiary" in plan, plan
    assert "Seq Scan" not in plan, plan


def test_what_was_not_paid_after_all_is_taken_off_without_going_through_it_for_each(
    world: World, owner_connection: "psycopg.Connection[Any]"
) -> None:
    now = datetime.now(UTC)
    mine, theirs = world.accounts["EUR"][0], world.accounts["EUR"][2]
    undone = [Row(now - n * HOUR, mine, theirs, 1, failed=True, lived=HOUR) for n in range(1, 21)]
    asked = [Row(now + n * timedelta(milliseconds=1), mine, theirs, 1) for n in range(50)]
    insert(owner_connection, undone + asked)
    captured: list[Any] = []

    def remember(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        captured.append(params)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(remember):
        legs = facts_of([row.id for row in asked], limits_in_force())
    assert [leg.facts.debits_30d for leg in legs] == list(range(50))
    reads = reads_of("corrected", plan_inside("compliance_facts", captured[0], analyze=True))
    assert reads == [1]


def reads_of(cte: str, node: dict[str, Any]) -> list[int]:
    """How often each place in a plan reads it."""
    own = [node["Actual Loops"]] if node.get("CTE Name") == cte else []
    return own + [loops for part in node.get("Plans", []) for loops in reads_of(cte, part)]
