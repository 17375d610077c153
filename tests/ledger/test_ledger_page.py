"""docs/ledger.md is true: each of its examples is performed, and every figure in its tables compared."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from accounts.models import Account
from ledger.models import Entry, Escalation, Transaction
from ledger.services import adjustments, groups, holds, proposals, requests, reversals, suspense
from ledger.states import EscalationStatus, LimitDirection
from tests.compliance.people import staff
from tests.ledger import flows
from tests.ledger.test_limits import limit_account
from tests.support.factories import make_account
from tests.support.pipeline import deliver, run_until, verify
from tests.support.servers import ROOT
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.money import Money

pytestmark = pytest.mark.django_db

PAGE: Final = (ROOT / "docs" / "ledger.md").read_text()
Rows = list[list[str]]


def sections() -> dict[str, str]:
    """The worked examples by their headings."""
    _, *parts = re.split(r"^### ", PAGE.partition("## Worked examples")[2].partition("\n## ")[0], flags=re.MULTILINE)
    return {heading: text for heading, _, text in (part.partition("\n") for part in parts)}


def tables(text: str) -> dict[str, Rows]:
    """A section's tables by the heading of their first column."""
    found = re.findall(r"((?:^\|.*\|\n)+)", text, flags=re.MULTILINE)
    parsed = [[[cell.strip() for cell in line.strip("|").split("|")] for line in each.splitlines()] for each in found]
    return {head[0]: rows for head, _, *rows in parsed}


def shown(amount: int) -> str:
    return f"{amount / 100:,.2f}".replace("-", "−")


@dataclass
class Story:
    """Who is in it, and what the examples have in common."""

    sandbox: RunningSandbox
    ada: Account = field(default_factory=make_account)
    shop: Account = field(default_factory=make_account)
    ben: Account = field(default_factory=make_account)
    captured: UUID | None = None

    def account(self, name: str) -> Account:
        if name in ("Ada", "Shop", "Ben"):
            account: Account = getattr(self, name.lower())
            account.refresh_from_db()
            return account
        return Account.objects.get(purpose=name, currency="EUR")

    def name(self, account: Account) -> str:
        return account.purpose or next(name for name in ("Ada", "Shop", "Ben") if self.account(name).id == account.id)

    def settle(self, made: Any) -> None:
        flows.approve(made)
        run_until(flows.is_status(made, "cleared"), sandbox=self.sandbox, ledger_only=True)

    def hold(self, amount: int) -> Any:
        made = flows.transfer(self.ada, self.shop, amount, expires_in=3_600)
        flows.approve(made)
        return made

    def arrives(self, amount: int) -> Escalation:
        self.sandbox.bank.credit({"amount": amount, "currency": "EUR", "reference": f"invoice {amount}"})
        open_ones = Escalation.objects.filter(status=EscalationStatus.OPEN)
        deliver(self.sandbox)
        run_until(open_ones.exists, ledger_only=True)
        return open_ones.get()


def agree(proposed: Any) -> None:
    done = adjustments.approve(actor=staff("Senior officer"), adjustment_id=proposed.id, now=timezone.now())
    assert done.refusal is None


def deposit(story: Story) -> Iterator[str]:
    made = flows.deposit(story.ada, 10_000, reference="SBX-SETTLE")
    yield "asked for"
    story.settle(made)
    yield "cleared"


def transfer(story: Story) -> Iterator[str]:
    made = flows.transfer(story.ada, story.shop, 3_000)
    yield "asked for"
    story.settle(made)
    yield "cleared"


def withdrawal(story: Story) -> Iterator[str]:
    made = flows.withdraw(story.ada, 2_000, name="SBX-SETTLE")
    yield "asked for"
    story.settle(made)
    yield "cleared"


def captured(story: Story) -> Iterator[str]:
    made = story.hold(2_500)
    story.captured = made.id
    yield "held"
    holds.capture(
        actor=flows.owner(story.shop), transaction_id=made.id, amount=1_800, key=uuid4().hex, request_hash=flows.HASH
    )
    yield "captured"
    flows.settle_everything()
    yield "cleared"


def given_up(story: Story) -> Iterator[str]:
    made = story.hold(1_000)
    yield "held"
    holds.void(actor=flows.owner(story.shop), transaction_id=made.id)
    yield "voided"


def reversal(story: Story) -> Iterator[str]:
    made = reversals.reverse(
        actor=flows.owner(story.shop),
        received=Transaction.objects.get(id=story.captured),
        amount=800,
        reason="one was broken",
        key=uuid4().hex,
        request_hash=flows.HASH,
    ).transaction
    yield "asked for"
    story.settle(made)
    yield "cleared"


def at_a_loss(story: Story) -> Iterator[str]:
    story.settle(flows.transfer(story.shop, story.ben, 4_000))
    assert story.captured is not None
    proposed = proposals.propose_reversal(
        actor=staff(), transaction_id=story.captured, amount=None, reason="never delivered", at_loss=True
    )
    yield "proposed"
    agree(proposed)
    yield "approved"


def adjustment(story: Story) -> Iterator[str]:
    proposed = proposals.propose_correction(
        actor=staff(), debit=story.account("fees").id, credit=story.ada.id, amount=50, reason="a courtesy"
    )
    yield "proposed"
    agree(proposed)
    yield "approved"


def assigned(story: Story) -> Iterator[str]:
    escalation = story.arrives(7_000)
    yield "arrived"
    agree(
        suspense.propose_assignment(
            actor=staff(), escalation_id=escalation.id, account_id=story.ben.id, reason="it is his, he called"
        )
    )
    yield "assigned"


def returned(story: Story) -> Iterator[str]:
    escalation = story.arrives(1_500)
    yield "arrived"
    proposed = suspense.propose_return(
        actor=staff(),
        escalation_id=escalation.id,
        beneficiary={"name": "SBX-SETTLE", "iban": flows.IBAN},
        reason="nobody knows it",
    )
    agree(proposed)
    proposed.refresh_from_db()
    run_until(lambda: flows.status(proposed.transaction_id) == "cleared", sandbox=story.sandbox, ledger_only=True)
    yield "returned"


def group(story: Story) -> Iterator[str]:
    parts = [
        groups.Part(source=story.ada.id, destination=account.id, amount=Money(amount, "EUR"))
        for account, amount in ((story.shop, 1_000), (story.ben, 200))
    ]
    made = groups.pay(actor=flows.owner(story.ada), transfers=parts, key=uuid4().hex, request_hash=flows.HASH)
    yield "asked for"
    flows.approve(*made.transactions)
    flows.settle_everything()
    yield "cleared"


def charged(story: Story) -> Iterator[str]:
    made = flows.withdraw(story.ben, 2_000, name="SBX-SHORT")
    yield "asked for"
    flows.approve(made)
    open_ones = Escalation.objects.filter(status=EscalationStatus.OPEN)
    run_until(open_ones.exists, sandbox=story.sandbox, ledger_only=True)
    yield "paid otherwise"
    agree(suspense.propose_charge(actor=staff(), escalation_id=open_ones.get().id, reason="the bank paid it"))
    yield "charged"


def diverted(story: Story) -> Iterator[str]:
    limit_account(story.ben, LimitDirection.IN, per_transaction=3_000)
    made = flows.deposit(story.ben, 4_000, reference="SBX-SETTLE")
    yield "asked for"
    flows.approve(made)
    open_ones = Escalation.objects.filter(status=EscalationStatus.OPEN)
    run_until(open_ones.exists, sandbox=story.sandbox, ledger_only=True)
    yield "diverted"
    agree(
        suspense.propose_assignment(
            actor=staff(), escalation_id=open_ones.get().id, account_id=story.ben.id, reason="it is his, and known"
        )
    )
    yield "assigned"


def refused(story: Story) -> Iterator[str]:
    with pytest.raises(requests.InsufficientFunds):
        flows.transfer(story.ada, story.shop, 100_000)
    yield "refused"


EXAMPLES: Final[dict[str, Callable[[Story], Iterator[str]]]] = {
    "1. Deposit": deposit,
    "2. Transfer": transfer,
    "3. Withdrawal with a fee": withdrawal,
    "4. Hold, captured in part": captured,
    "5. Hold, given up": given_up,
    "6. Reversal": reversal,
    "7. Reversal at the wallet's loss": at_a_loss,
    "8. Adjustment": adjustment,
    "9. Money that nobody expected, assigned": assigned,
    "10. Money that nobody expected, returned": returned,
    "11. Group": group,
    "12. A payout for which the bank moved another amount, charged": charged,
    "13. A deposit that its account may not take, diverted": diverted,
    "14. Refused": refused,
}


def entries_since(story: Story, last: int) -> Rows:
    """As the page writes them: by transaction, the debit first."""
    entries = Entry.objects.filter(id__gt=last).select_related("transaction", "account")
    return [
        [
            entry.transaction.kind,
            story.name(entry.account),
            shown(entry.amount) if entry.direction == "debit" else "",
            shown(entry.amount) if entry.direction == "credit" else "",
            shown(entry.balance_after),
        ]
        for entry in sorted(entries, key=lambda entry: (entry.transaction_id, entry.direction == "credit"))
    ]


def balances(story: Story, name: str) -> list[str]:
    account = story.account(name)
    return [name, shown(account.cleared), shown(account.reserved), shown(account.available)]


def perform(story: Story, heading: str, text: str) -> None:
    """One example: its balances at each of its moments, and its entries."""
    page = tables(text)
    moments: list[str] = []
    last = Entry.objects.order_by("-id").values_list("id", flat=True).first() or 0
    for moment in EXAMPLES[heading](story):
        moments.append(moment)
        told = [row[1:] for row in page["when"] if row[0] == moment]
        assert told == [balances(story, name) for name, *_ in told], f"{heading}, {moment}"
    assert moments == list(dict.fromkeys(row[0] for row in page["when"])), heading
    assert page.get("transaction", []) == entries_since(story, last), heading


def test_every_example_of_the_page_comes_out_as_told(sandbox: RunningSandbox, settings: Any) -> None:
    settings.FEES = {"withdrawal": {"EUR": [{"from": 1, "flat": 50}]}}
    story = Story(sandbox)
    examples = sections()
    together = examples.pop("All of it")
    assert list(examples) == list(EXAMPLES)
    for heading, text in examples.items():
        perform(story, heading, text)
    *accounts, last = tables(together)["account"]
    assert accounts == [balances(story, name)[:2] for name, _ in accounts]
    assert last == ["together", shown(sum(story.account(name).cleared for name, _ in accounts))]
    for name, cleared in accounts:
        assert re.search(rf"│ {name} .*(\n.*)? {re.escape(cleared)} ", PAGE), f"the picture shows {name}"
    verify()


def test_the_page_tells_of_every_account_and_of_each_kind_and_status() -> None:
    from accounts.states import SystemPurpose
    from ledger.states import TransactionStatus

    for word in [*SystemPurpose, *TransactionStatus]:
        assert f"`{word}`" in PAGE
