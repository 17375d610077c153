"""The bank: one account per currency for the wallet, which may be overdrawn (that is for the wallet to avoid)."""

import json
from uuid import uuid4

from wallet_project.sandbox import magic
from wallet_project.sandbox.book import Book, Row, now_text
from wallet_project.sandbox.config import Timing
from wallet_project.sandbox.exchange import Answer, Fields, Json, Problem, add_callback, due_time, submit
from wallet_project.sandbox.magic import Fault, Script

_REASONS = {"rejected": "account_closed"}
PAGE = 100
MAX_PAGE = 500


def payer_of(fields: Fields) -> Json | None:
    """Who pays, as the control endpoints are told: {name, iban?, country?}."""
    if not fields.has("payer"):
        return None
    whom = fields.object("payer")
    payer: Json = {
        "name": whom.text("name"),
        "iban": whom.text("iban", limit=64, default=""),
        "country": whom.text("country", limit=2, default=""),
    }
    whom.done()
    return payer


class Bank:
    def __init__(self, book: Book, timing: Timing, wallet_url: str | None) -> None:
        self._book, self._timing = book, timing
        self._callback_url = f"{wallet_url}/webhooks/bank" if wallet_url else None

    def pay(self, direction: str, body: Json, key: str) -> Answer:
        fields = Fields(body)
        reference = fields.text("reference", limit=200)
        amount, currency = fields.amount(), fields.currency()
        description = fields.text("description", default="")
        beneficiary = None
        if direction == "payout":
            whom = fields.object("beneficiary")
            beneficiary = {"name": whom.text("name"), "iban": whom.text("iban", limit=64)}
            whom.done()
        fields.done()
        texts = [description, beneficiary["name"] if beneficiary else "", reference]
        script = magic.find(magic.BANK, magic.BANK_DEFAULT, texts)

        def accept() -> Answer:
            if self._find(reference) is not None:
                raise Problem(422, "reference_used", "there is a payment with this reference under another key")
            whom_text = json.dumps(beneficiary) if beneficiary else None
            self._enter(reference, direction, amount, currency, description, whom_text, script)
            view = self.view(reference)
            if script.fault is Fault.WRONG_REFERENCE:
                view |= {"reference": f"{reference}-of-somebody-else", "status": script.first}
            return Answer(202, view)

        return submit(
            self._book, service="bank", path=f"{direction}s", key=key, body=body, script=script, accept=accept
        )

    def _enter(
        self,
        reference: str,
        direction: str,
        amount: int,
        currency: str,
        description: str,
        beneficiary: str | None,
        script: Script,
    ) -> None:
        self._book.insert(
            "payment",
            reference=reference,
            id=f"pay_{uuid4().hex}",
            direction=direction,
            amount=amount,
            settles_for=max(1, amount // 2) if script.halved else amount,
            currency=currency,
            description=description,
            beneficiary=beneficiary,
            status="processing",
            later=script.later,
            due=due_time(script, self._timing),
            callbacks=script.callbacks,
            created_at=now_text(),
        )
        if script.first != "processing" and script.fault is not Fault.WRONG_REFERENCE:
            self._end(reference, script.first)

    def view(self, reference: str) -> Json:
        row = self._find(reference)
        if row is None:
            raise Problem(404, "unknown_reference", "there is no payment with this reference")
        settled = row["status"] == "settled"
        payer = self._book.row("SELECT payer FROM payer WHERE reference = ?", reference)
        return {
            "id": row["id"],
            "reference": row["reference"],
            "status": row["status"],
            "reason": row["reason"],
            "amount": row["settles_for"] if settled else row["amount"],
            "currency": row["currency"],
            **({"payer": json.loads(payer["payer"])} if payer else {}),
        }

    def statement(self, currency: str, after: str, limit: int = PAGE) -> Json:
        """A page of the statement and the balance, as of one moment."""
        if after and not (after.isascii() and after.isdigit() and len(after) <= 18):
            raise Problem(400, "invalid_request", "after is the id of a line")
        with self._book.transaction():
            rows = self._book.movements(currency, after=int(after or 0), limit=limit + 1)
            balance = self._book.balance(currency)
        lines = [
            {name: row[name] for name in ("direction", "amount", "currency", "reference", "booked_at")}
            | {"id": str(row["id"])}
            for row in rows[:limit]
        ]
        return {
            "currency": currency,
            "balance": balance,
            "lines": lines,
            "next": lines[-1]["id"] if len(rows) > limit else None,
        }

    def settle_due(self, now: float) -> None:
        """Bring the payments to their end whose time has come."""
        with self._book.transaction():
            for row in self._book.rows("SELECT * FROM payment WHERE due <= ? ORDER BY due", now):
                self._end(row["reference"], row["later"])
                self._tell(row["reference"], copies=row["callbacks"])

    def decide(self, reference: str, status: str, reason: str = "", payer: Json | None = None) -> Json:
        """End a payment and tell the wallet. One that was rejected may still settle: banks do change their minds."""
        with self._book.transaction():
            if payer is not None:
                self._book.run("INSERT OR REPLACE INTO payer VALUES (?, ?)", reference, json.dumps(payer))
            if self.view(reference)["status"] == "settled":
                raise Problem(409, "already_settled", "what has settled stays so")
            self._end(reference, status, reason)
            self._tell(reference)
            return self.view(reference)

    def credit(self, body: Json) -> Json:
        """Money that nobody expected: it is booked, and the wallet is told."""
        fields = Fields(body)
        amount, currency = fields.amount(), fields.currency()
        reference, description = fields.text("reference", default=""), fields.text("description", default="")
        payer = payer_of(fields)
        fields.done()
        credit_id = f"crd_{uuid4().hex}"
        credit: Json = {
            "id": credit_id,
            "amount": amount,
            "currency": currency,
            "reference": reference,
            "description": description,
            **({"payer": payer} if payer else {}),
        }
        with self._book.transaction():
            self._move("in", amount, currency, reference or credit_id, description)
            add_callback(self._book, service="bank", url=self._callback_url, kind="credit.received", data=credit)
        return credit

    def _end(self, reference: str, status: str, reason: str = "") -> None:
        self._book.run(
            "UPDATE payment SET status = ?, reason = ?, later = NULL, due = NULL WHERE reference = ?",
            status,
            reason or _REASONS.get(status),
            reference,
        )
        row = self._find(reference)
        if row is not None and status == "settled":
            direction = "in" if row["direction"] == "collection" else "out"
            self._move(direction, row["settles_for"], row["currency"], reference, row["description"])

    def _tell(self, reference: str, copies: int = 1) -> None:
        if copies:
            view = self.view(reference)
            add_callback(
                self._book,
                service="bank",
                url=self._callback_url,
                kind=f"payment.{view['status']}",
                data=view,
                copies=copies,
            )

    def _move(self, direction: str, amount: int, currency: str, reference: str, description: str) -> None:
        self._book.insert(
            "movement",
            direction=direction,
            amount=amount,
            currency=currency,
            reference=reference,
            description=description,
            booked_at=now_text(),
        )

    def _find(self, reference: str) -> Row | None:
        return self._book.row("SELECT * FROM payment WHERE reference = ?", reference)
