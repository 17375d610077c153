"""What workers do, the bank, and time."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from ledger import steps
from ledger.models import InboundEvent, RailTransfer
from ledger.services import holds
from ledger.services.clearing import clear_due
from ledger.services.events import process_bank_events, receive_bank_event
from ledger.services.rails import dispatch_rails
from ledger.states import Stage
from tests.ledger.model.bank import Desk
from tests.ledger.model.town import DIED
from tests.ledger.model.wallet import Told, Wallet
from wallet_project.utils.context import request_id

_LEASE = timedelta(hours=1)
_MANY = 1_000

# What a batch did, by the request id that it was done under: transactions that ended, and those that were set aside.
# In the order in which they were looked at: commit by commit, and in each by their ids.
_DONE_BY = """
SELECT done.unit FROM (
    SELECT coalesce(t.group_id, t.id) AS unit, s.xact FROM ledger_statechange s
    JOIN ledger_transaction t ON t.id = s.subject_id
    WHERE s.request_id = %s AND s.from_state = 'pending' AND t.kind <> 'adjustment'
    UNION
    SELECT coalesce(t.group_id, t.id), s.xact FROM ledger_statechange s JOIN ledger_escalation e ON e.id = s.subject_id
    JOIN ledger_transaction t ON t.id = e.transaction_id WHERE s.request_id = %s AND t.status = 'pending'
) done GROUP BY done.unit ORDER BY min(done.xact), done.unit"""


class Workers(Wallet):
    def claim(self, lease: int, limit: int) -> Told:
        with transaction.atomic(durable=True):
            claimed = steps.claim(Stage.SCREENING, limit=limit, lease=_LEASE)
        self._tokens.update({(lease, unit.unit_id): unit.token for unit in claimed})
        return "ok", [unit.unit_id for unit in claimed]

    def leases_run_out(self) -> Told:
        self._town.change("UPDATE ledger_workitem SET next_at = now() WHERE stage = 'screening' AND next_at > now()")
        return "ok", None

    def decide(self, lease: int, number: int, verdict: str) -> Told:
        unit = self._unit(number)
        return self._judge(unit, verdict, [self._tokens[lease, unit]])

    def clear(self, limit: int, poison: int = 0) -> Told:
        return self._batch(lambda: clear_due(limit=limit), poison)

    def expire(self, limit: int, poison: int = 0) -> Told:
        return self._batch(lambda: holds.expire_due(limit=limit), poison)

    def dispatch(self, plan: str) -> Told:
        RailTransfer.objects.filter(next_at__isnull=False).update(next_at=Now())
        desk = Desk(self.bank, plan)
        end = self._till_death(lambda: dispatch_rails(rail=desk, now=timezone.now(), rng=Random(0), limit=_MANY))
        if end == DIED and not desk.said:
            return DIED, None
        unheard = set(RailTransfer.objects.filter(lease_token__isnull=False).values_list("key", flat=True))
        words = {key: ("silent", 0) if key in unheard else word for key, word in desk.said.items()}
        return end, {UUID(key.removeprefix("wallet-")): word for key, word in words.items()}

    def deliver(self, event: int) -> Told:
        _, message = self.bank.outbox[event]
        InboundEvent.objects.filter(next_at__isnull=False).update(next_at=Now())
        waiting = InboundEvent.objects.filter(processed_at=None).order_by("id")
        receive_bank_event(event_id=str(event), payload=message)
        before = list(waiting.values_list("event_id", flat=True))
        end = self._till_death(lambda: process_bank_events(rail=Desk(self.bank, ""), now=timezone.now(), rng=Random(0)))
        still = set(waiting.values_list("event_id", flat=True))
        return end, [self._news(int(number)) for number in before if number not in still]

    def bank_ends(self, reference: str, status: str, more: int) -> Told:
        """The bank ends a payment of its own accord; the wallet is to hear of it later."""
        self.bank.end(reference, status, self.bank.payments[reference].asked + more)
        return "ok", None

    def somebody_pays_in(self, amount: int) -> Told:
        self.bank.pay_in(amount)
        return "ok", None

    def _news(self, event: int) -> tuple[Any, tuple[str, int]]:
        reference, message = self.bank.outbox[event]
        data = message["data"]
        if not reference:
            return f"bank-credit-{data['id']}", ("credit", data["amount"])
        return UUID(reference.removeprefix("wallet-")), (data["status"], data["amount"])

    def _batch(self, act: Callable[[], Any], poison: int) -> Told:
        """What a worker does under a request id of its own, and which units it did it to."""
        mine = uuid4().hex
        before = request_id.set(mine)
        try:
            end = self._till_death(self._poisoned(str(self._main(poison)) if poison else "", act))
        finally:
            request_id.reset(before)
        with connection.cursor() as cursor:
            cursor.execute(_DONE_BY, [mine, mine])
            return end, [unit for (unit,) in cursor.fetchall()]
