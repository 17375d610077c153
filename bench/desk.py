"""A desk with more to look at: thirty rules in force, twenty thousand names on a list, and payouts to names."""

import csv
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from bench.town import Person

RULES: Final = 30
NAMES: Final = 20_000
#: Of so many payments one is a payout, whose payee is looked for.
ONE_PAYOUT_IN: Final = 10
_EVALUATION: Final = Path(__file__).resolve().parent.parent / "compliance" / "names" / "evaluation"
_IBAN: Final = "DE89370400440532013000"
#: Rules of the kinds that docs/screening.md has, each with a figure of its own; they speak of few payments.
_KINDS: Final = (
    "outgoing && debits_24h > {0} && amount * 2 > limit.single_amount",
    "outgoing && days_idle >= {0} && amount * 2 >= limit.single_amount",
    "outgoing && debits_30d >= {0} && (out_24h + amount) * 2 > out_30d && out_24h + amount > limit.out_per_day / 10",
    "kind == 'withdrawal' && (out_24h + amount) * 100 / limit.out_per_day >= {0} && !to_own_account",
    "outgoing && account_age_seconds < {0} * 3600 && debits_30d == 0 && amount > limit.first_payment_amount",
)


def furnish(folder: Path) -> list[str]:
    """Bring the rules and the list into force, by two members of staff; names that stand on no list."""
    _rules()
    _list(folder)
    with (_EVALUATION / "held_out.csv").open(newline="") as file:
        return sorted(
            {
                row["query"]
                for row in csv.DictReader(file)
                if row["label"] == "negative" and row["kind"].startswith("clean")
            }
        )


def _rules() -> None:
    from compliance.models import RuleVersion
    from compliance.services import rules
    from compliance.states import RuleChange
    from tests.compliance.people import staff

    maker, checker = staff("Officer"), staff("Senior officer")
    missing = RULES - RuleVersion.objects.filter(status="active").count()
    for number in range(missing):
        expression = _KINDS[number % len(_KINDS)].format(90 + number)
        draft = rules.Draft(expression, "{amount as money}", "review")
        made = rules.create_rule(actor=maker, name=f"bench_{number}", description="One of thirty.", draft=draft)
        rules.put_in_shadow(actor=maker, version_id=made.id, reason="the bench")
        asked = rules.propose(actor=maker, version_id=made.id, change=RuleChange.ACTIVATE, reason="the bench")
        rules.answer(actor=checker, version_id=made.id, proposal_id=asked.id, agree=True, reason="the bench")


def _list(folder: Path) -> None:
    from compliance.services.list_activation import activate_version
    from compliance.services.lists import import_list
    from wallet_project.utils.context import system_actor

    path = folder / "names.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "name"])
        rows.writerows(enumerate(_names()))
    made = import_list(actor=system_actor(), path=path, format="internal-csv", name="Bench", purpose="sanctions")
    activate_version(actor=system_actor(), version_id=made.version.id, reason="the bench", now=datetime.now(UTC))


def _names() -> Iterator[str]:
    """OFAC's people, and after these others with the given names of one and the family name of another."""
    with (_EVALUATION / "ofac.csv").open(newline="") as file:
        people = [row["name"] for row in csv.DictReader(file) if row["subject"] == "person" and "," in row["name"]]
    rng = random.Random(1)  # noqa: S311 - names for a list
    made = dict.fromkeys(people)
    while len(made) < NAMES:
        family, given = rng.choice(people), rng.choice(people)
        made[f"{family.partition(',')[0]}, {given.partition(',')[2].strip()}"] = None
    yield from list(made)[:NAMES]


def ask_payouts(people: list[Person], names: list[str], count: int) -> list[tuple[Person, UUID]]:
    """Ask for so many payouts of a cent, each to another of the names; whose each is, and its transaction."""
    from ledger.services import payments
    from wallet_project.utils.money import Money

    rng = random.Random()  # noqa: S311 - whom to pay is no secret
    asked = []
    for number in range(count):
        person = people[number % len(people)]
        made = payments.withdraw(
            actor=person.actor,
            account=UUID(rng.choice(person.accounts)),
            amount=Money(1, "EUR"),
            beneficiary={"name": names[number % len(names)], "iban": _IBAN},
            key=uuid4().hex,
            request_hash=bytes(32),
        )
        asked.append((person, made.transaction.id))
    return asked


def call_off(payouts: list[tuple[Person, UUID]]) -> None:
    """No bank is there to pay them out."""
    from ledger.services import payments

    for person, transaction_id in payouts:
        payments.cancel(actor=person.actor, transaction_id=transaction_id)
