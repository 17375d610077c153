"""Trials of a rule on the past: the facts as they were recorded when each transaction was screened, asked anew.

The row is the queue. A worker leases it, replays chunk by chunk along the screenings' ids (which are ordered by time),
and after each chunk writes how far it is, which renews the lease. One that dies is begun anew by another.
Only what was recorded is read: a fact that did not exist at the time fails the rule there, and the report says so.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.staff import require_permission
from compliance.limits import limits_in_force
from compliance.models import Backtest, RuleVersion
from compliance.rules import ERROR, Finding, Limits, RuleSet, Thresholds, Version, failed
from compliance.ruleset import version_of
from compliance.services.rules import EDIT_RULE, RuleNotFound
from compliance.states import BacktestStatus, CheckStatus, RuleAction
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.errors import InvalidInput, database_refusals, on_constraint
from wallet_project.utils.ids import first_id_at, uuid7
from wallet_project.utils.nudges import nudge
from wallet_project.utils.retry import MAX_TRIES
from wallet_project.utils.transitions import born, move

logger = structlog.get_logger(__name__)

CHUNK: Final = 5_000
EXAMPLES: Final = 12
_SKEW_MS: Final = 10 * 60 * 1000
#: Its own answer is wanted, whatever it would come to beside others.
_NEVER: Final = Thresholds(review_from=2**31, reject_from=2**31)

Progress = Callable[[int], None]


class PeriodNotValid(InvalidInput):
    code = "backtest_period_not_valid"
    message = "The period has to begin before it ends."


class LeaseLost(Exception):
    """Another worker has the backtest now."""


on_constraint("backtest_period_has_a_length", PeriodNotValid)


@dataclass(slots=True)
class Report:
    """What a version would have said of a period. Amounts are minor units."""

    action: str
    transactions: int = 0
    #: By what the rules of then have made of the transaction.
    hits: Counter[str] = field(default_factory=Counter)
    #: By the reason, how many transactions it could say nothing of.
    errors: Counter[str] = field(default_factory=Counter)
    customers: set[bytes] = field(default_factory=set)
    #: Of the hits that had passed: by currency, and by day (UTC).
    amounts: Counter[str] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)
    #: Of the others: which rules had spoken then.
    already: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self, *, days: float) -> dict[str, Any]:
        """An error is a review, too: what could say nothing of a transaction would have opened a case."""
        passed, errors, hits = self.hits[CheckStatus.APPROVED], self.errors.total(), self.hits.total()
        cases = (passed if self.action == RuleAction.REVIEW else 0) + errors
        return {
            "transactions": self.transactions,
            "hits": hits,
            "hits_in_100": round(100 * hits / self.transactions, 3) if self.transactions else 0,
            "not_caught_then": passed,
            "in_review_then": self.hits[CheckStatus.IN_REVIEW],
            "rejected_then": self.hits[CheckStatus.REJECTED],
            "rules_that_spoke_then": dict(self.already.most_common(10)),
            "customers": len(self.customers),
            "amount_not_caught_then": dict(sorted(self.amounts.items())),
            "extra_cases": cases,
            "extra_cases_a_day": round(cases / days, 2),
            "busiest_days": dict(self.days.most_common(5)),
            "errors": errors,
            "errors_by_reason": dict(self.errors.most_common(10)),
            "examples": self.examples,
        }


def ask_for_backtest(*, actor: Actor, version_id: UUID, since: datetime, until: datetime) -> Backtest:
    """Have a version tried on what was screened from `since` on and before `until`, in the background.

    Raises PermissionMissing, RuleNotFound, PeriodNotValid."""
    with database_refusals(), transaction.atomic(durable=True):
        require_permission(actor, EDIT_RULE)
        if not RuleVersion.objects.filter(id=version_id).exists():
            raise RuleNotFound
        row = Backtest.objects.create(version_id=version_id, since=since, until=until, asked_by_id=actor.principal_id)
        born(row, actor=actor)
        nudge("compliance.backtest_wanted")
    return row


def run_backtests(*, now: datetime) -> int:
    """Take up one backtest that is due, and run it to its end; how many were taken up."""
    row = _claim(now=now)
    if row is None:
        return 0
    _run(row, progress=None)
    return 1


def backtest_now(
    *, actor: Actor, version_id: UUID, since: datetime, until: datetime, now: datetime, progress: Progress
) -> Backtest:
    """The same in this process, which `progress` is told of. Raises as ask_for_backtest does."""
    row = ask_for_backtest(actor=actor, version_id=version_id, since=since, until=until)
    claimed = _claim(now=now, only=row.id)
    if claimed is not None:
        _run(claimed, progress=progress)
    row.refresh_from_db()
    return row


def _claim(*, now: datetime, only: UUID | None = None) -> Backtest | None:
    """Lease the longest-waiting one; one that was taken up too often is given up."""
    with transaction.atomic(durable=True):
        due = Backtest.objects.filter(next_at__lte=max(now, timezone.now())).select_for_update(
            no_key=True, skip_locked=True
        )
        row = (due.filter(id=only) if only else due).order_by("next_at", "id").first()
        if row is None:
            return None
        row.attempts += 1
        if row.attempts > MAX_TRIES:
            _end(row, "give_up", error=f"not done in {MAX_TRIES} tries")
            return None
        row.lease_token, row.next_at, row.replayed = uuid7(), now + settings.LEASE, 0
        leased = ["lease_token", "next_at", "attempts", "replayed"]
        if row.status == BacktestStatus.QUEUED:
            move(row, "start", actor=system_actor(), also=leased)
        else:
            row.save(update_fields=leased)
    return row


def _run(row: Backtest, *, progress: Progress | None) -> None:
    def tell(replayed: int) -> None:
        _renew(row, replayed)
        if progress is not None:
            progress(replayed)

    version = version_of(RuleVersion.objects.select_related("rule").get(id=row.version_id))
    try:
        report = replay(version, since=row.since, until=row.until, progress=tell)
    except LeaseLost:
        logger.warning("backtest_overtaken", backtest_id=str(row.id))
        return
    days = (row.until - row.since).total_seconds() / 86_400
    with transaction.atomic(durable=True):
        held = Backtest.objects.select_for_update(no_key=True).filter(id=row.id, lease_token=row.lease_token).first()
        if held is not None:
            held.report, held.replayed = report.as_json(days=days), report.transactions
            _end(held, "finish")


def _renew(row: Backtest, replayed: int) -> None:
    held = Backtest.objects.filter(id=row.id, lease_token=row.lease_token, status=BacktestStatus.RUNNING)
    if not held.update(replayed=replayed, next_at=timezone.now() + settings.LEASE):
        raise LeaseLost


def _end(row: Backtest, transition: str, *, error: str = "") -> None:
    row.next_at, row.lease_token, row.error, row.ended_at = None, None, error, timezone.now()
    also = ["next_at", "lease_token", "error", "ended_at", "report", "replayed", "attempts"]
    move(row, transition, actor=system_actor(), reason=error, also=also)


def replay(version: Version, *, since: datetime, until: datetime, progress: Progress) -> Report:
    """Ask one version about everything that was screened in the period."""
    rules, limits, report = RuleSet([version]), limits_in_force(), Report(action=str(version.action))
    for chunk in _chunks(since, until):
        hits: list[tuple[_Past, str]] = []
        for past in chunk:
            finding = _asked(rules, past.facts, limits)
            if finding is None:
                continue
            if finding.action == ERROR:
                report.errors[finding.explanation.partition(" failed: ")[2] or finding.explanation] += 1
            else:
                hits.append((past, finding.explanation))
        report.transactions += len(chunk)
        if hits:
            _add(report, hits)
        progress(report.transactions)
    return report


@dataclass(slots=True)
class _Past:
    """One screening, as it was recorded."""

    id: UUID
    transaction_id: UUID
    #: What the rules of then have made of it: `approved`, `in_review` or `rejected`.
    outcome: str
    facts: dict[str, Any]
    spoke: list[str]
    created_at: datetime


def _asked(rules: RuleSet, facts: Mapping[str, Any], limits: Mapping[str, Limits]) -> Finding | None:
    of_currency = limits.get(facts.get("currency", ""))
    if of_currency is None:
        return failed(rules.active[0], "there are no limits of its currency")
    said = rules.decide(facts, of_currency, _NEVER).findings
    return said[0] if said else None


_CHUNK: Final = """
    SELECT id, transaction_id,
           CASE WHEN decided_by = 'rules' THEN status ELSE 'in_review' END AS outcome, facts::text,
           CASE WHEN findings = '[]' THEN '[]' ELSE jsonb_path_query_array(findings, '$[*].rule')::text END AS spoke,
           created_at
    FROM compliance_screening
    WHERE id > %(after)s AND id < %(before)s
    ORDER BY id LIMIT %(chunk)s
"""


def _chunks(since: datetime, until: datetime) -> Iterator[list[_Past]]:
    """Along the primary key: ids are made when a decision is written, so that a period is a range of them; those that
    a clock which runs ahead or behind has put outside are looked for a few minutes around it."""
    after, before = first_id_at(since, shift_ms=-_SKEW_MS), first_id_at(until, shift_ms=_SKEW_MS)
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_CHUNK, {"after": after, "before": before, "chunk": CHUNK})
            rows = cursor.fetchall()
        if not rows:
            return
        yield [
            _Past(id_, transaction_id, outcome, json.loads(facts), json.loads(spoke), created_at)
            for id_, transaction_id, outcome, facts, spoke, created_at in rows
            if since <= created_at < until
        ]
        after = rows[-1][0]


_OF_HITS: Final = """
    SELECT t.id, coalesce(payer.customer_id, payee.customer_id)
    FROM ledger_transaction t
    JOIN accounts_account payer ON payer.id = t.debit_account_id
    JOIN accounts_account payee ON payee.id = t.credit_account_id
    WHERE t.id = ANY (%s)
"""


def _add(report: Report, hits: Sequence[tuple[_Past, str]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_OF_HITS, [[past.transaction_id for past, _ in hits]])
        customer_of = dict(cursor.fetchall())
    for past, explanation in hits:
        report.hits[past.outcome] += 1
        customer = customer_of.get(past.transaction_id)
        if customer is not None:
            report.customers.add(customer.bytes)
        if past.outcome != CheckStatus.APPROVED:
            report.already.update(past.spoke)
            continue
        report.amounts[str(past.facts["currency"])] += past.facts["amount"]
        report.days[past.created_at.date().isoformat()] += 1
        if len(report.examples) < EXAMPLES:
            report.examples.append(
                {
                    "screening": past.id,
                    "transaction": past.transaction_id,
                    "at": past.created_at,
                    "amount": past.facts["amount"],
                    "currency": past.facts["currency"],
                    "explanation": explanation,
                }
            )
