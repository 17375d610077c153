"""Balances in the past and statements: whatever happened, they are what a plain replay gives, and periods chain."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Account
from ledger.posting import Posted
from ledger.selectors import balances, entries
from tests.ledger import history
from tests.support import money

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

# What separates two things that happened, of one scale in each history: so that waits of each length are looked into.
SCALES = [timedelta(microseconds=1), timedelta(seconds=20), timedelta(minutes=3)]
SCALES += [timedelta(hours=5), timedelta(days=1), timedelta(days=9)]
GAPS = st.sampled_from(SCALES).flatmap(
    lambda scale: st.lists(st.integers(1, 5).map(lambda many: many * scale), min_size=1, max_size=5)
)
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["pay", "pay", "hold", "clear", "clear", "fail", "capture", "receive"]), st.integers(1, 60)
    ),
    min_size=1,
    max_size=14,
)


@dataclass
class Replay:
    """What the account has, by a reading of what happened that knows nothing of entries."""

    cleared: int = 0
    asked: dict[int, int] = field(default_factory=dict)

    @property
    def balances(self) -> tuple[int, int]:
        return self.cleared, sum(self.asked.values())


@dataclass
class Story:
    account: Account
    other: Account
    replay: Replay = field(default_factory=Replay)
    waiting: list[tuple[Posted, str]] = field(default_factory=list)
    told: list[tuple[datetime, tuple[int, int]]] = field(default_factory=list)

    def tell(self, operation: str, number: int) -> None:
        match operation:
            case "receive":
                money.fund(self.account, number)
                self.replay.cleared += number
            case "pay" | "hold":
                self._pay(number, hold=operation == "hold")
            case _ if self.waiting:
                self._end(operation, number)
        self.told.append((history.database_now(), self.replay.balances))

    def _pay(self, amount: int, *, hold: bool) -> None:
        posted = history.pay(self.account, self.other, amount, expires_in=600 if hold else None)
        if posted.outcome == "created":
            self.replay.asked[id(posted)] = amount
            self.waiting.append((posted, "hold" if hold else "payment"))

    def _end(self, operation: str, number: int) -> None:
        posted, kind = self.waiting[number % len(self.waiting)]
        if operation == "fail":
            history.fail(posted)
            del self.replay.asked[id(posted)]
        elif operation == "capture" and kind == "hold":
            amount = min(number, self.replay.asked[id(posted)])
            money.approve(posted)
            history.capture(posted, self.other, amount)
            self.replay.asked[id(posted)] = amount
            self.waiting[self.waiting.index((posted, kind))] = (posted, "captured")
            return
        elif operation == "clear" and kind != "hold":
            if kind == "payment":
                money.approve(posted)
            self._clear()
            return
        else:
            return
        self.waiting.remove((posted, kind))

    def _clear(self) -> None:
        """A batch takes whatever is due: what was captured, too."""
        cleared = money.clear()
        for posted, kind in list(self.waiting):
            if cleared.get(posted.transactions[0].id) == "cleared":
                self.replay.cleared -= self.replay.asked.pop(id(posted))
                self.waiting.remove((posted, kind))


@settings(max_examples=90, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(operations=OPERATIONS, gaps=GAPS, cuts=st.lists(st.integers(0, 14), max_size=4))
def test_balances_in_the_past_are_those_of_a_replay_and_statements_chain(
    db: None,
    owner_connection: psycopg.Connection,
    operations: list[tuple[str, int]],
    gaps: list[timedelta],
    cuts: list[int],
) -> None:
    story = Story(money.new_account(), money.new_account())
    for operation, number in [("receive", 60), *operations]:
        story.tell(operation, number)
    story.account.refresh_from_db()
    assert (story.account.cleared, story.account.reserved) == story.replay.balances
    now = history.database_now()
    marks = [at for at, _ in story.told]
    assert_told(story, marks, now)
    marks = history.draw_out(owner_connection, [story.account, story.other], gaps, marks)
    now = marks[-1] + timedelta(days=1)
    assert_told(story, marks, now)
    assert_chained(story.account, sorted({history.BEGINNING, *(marks[cut % len(marks)] for cut in cuts), now}), now)


def assert_told(story: Story, marks: list[datetime], now: datetime) -> None:
    """At each mark the balances were what the replay had then; before the first line there was nothing."""
    for at, (cleared, reserved) in zip(marks, [told for _, told in story.told], strict=True):
        was = balances.balance_at(story.account.id, at=at, now=now)
        assert (was.cleared, was.reserved) == (cleared, reserved), at
    before = balances.balance_at(story.account.id, at=history.BEGINNING - timedelta(days=1), now=now)
    assert (before.cleared, before.reserved) == (0, 0)


def assert_chained(account: Account, cuts: list[datetime], now: datetime) -> None:
    """Statements of periods that follow each other: each adds up, and each begins where the one before ended."""
    balance, numbers = 0, []
    for since, until in pairwise(cuts):
        statement = entries.statement_of(account, since=since, until=until, now=now)
        lines = list(entries.all_lines_of(statement))
        assert statement.opening == balance
        assert statement.closing == balance + sum(line.signed_amount for line in lines)
        assert all(since <= line.created_at < until for line in lines)
        assert statement.count == len(lines)
        balance, numbers = statement.closing, numbers + [line.sequence for line in lines]
    assert numbers == list(range(1, account.last_sequence + 1))
    assert balance == account.cleared
