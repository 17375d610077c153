"""The identity provider."""

from uuid import uuid4

from wallet_project.sandbox import magic
from wallet_project.sandbox.book import Book, Row, now_text
from wallet_project.sandbox.config import Timing
from wallet_project.sandbox.exchange import Answer, Fields, Json, Problem, add_callback, due_time, is_below, submit
from wallet_project.sandbox.magic import Fault

_REASONS = {"rejected": "document_not_genuine", "review": "photo_unclear"}
_PROFILE = (
    "first_name",
    "last_name",
    "date_of_birth",
    "country",
    "address",
    "document_type",
    "document_number",
)


class IdentityProvider:
    def __init__(self, book: Book, timing: Timing, wallet_url: str | None) -> None:
        self._book, self._timing, self._wallet_url = book, timing, wallet_url

    def check(self, body: Json, key: str) -> Answer:
        fields = Fields(body)
        reference = fields.text("reference", limit=200)
        callback_url = fields.text("callback_url", limit=2000, default="")
        profile = fields.object("profile")
        values = {name: profile.text(name) for name in _PROFILE}
        profile.done()
        fields.text("level", limit=20, default="basic")
        fields.objects("documents", limit=20)
        fields.done()
        if callback_url and self._wallet_url is not None and not is_below(callback_url, self._wallet_url):
            raise Problem(422, "callback_url_not_allowed", "callback_url is not below the wallet's registered address")
        script = magic.find(magic.IDENTITY, magic.IDENTITY_DEFAULT, [values["document_number"]])

        def accept() -> Answer:
            if self._find(reference) is not None:
                raise Problem(422, "reference_used", "there is a check with this reference under another key")
            # The profile is not kept: the answer has been decided, and nobody needs it again.
            self._book.insert(
                "identity_check",
                reference=reference,
                id=f"chk_{uuid4().hex}",
                callback_url=callback_url if self._wallet_url is not None and callback_url else None,
                status=script.first,
                reason=_REASONS.get(script.first),
                later=script.later,
                due=due_time(script, self._timing),
                callbacks=script.callbacks,
                created_at=now_text(),
            )
            view = self.view(reference)
            if script.fault is Fault.WRONG_REFERENCE:
                view["reference"] = f"{reference}-of-somebody-else"
            return Answer(202 if script.first == "processing" else 200, view)

        return submit(self._book, service="identity", path="checks", key=key, body=body, script=script, accept=accept)

    def view(self, reference: str) -> Json:
        row = self._find(reference)
        if row is None:
            raise Problem(404, "unknown_reference", "there is no check with this reference")
        return {name: row[name] for name in ("id", "reference", "status", "reason")}

    def settle_due(self, now: float) -> None:
        """Bring the checks to their end whose time has come."""
        with self._book.transaction():
            for row in self._book.rows("SELECT * FROM identity_check WHERE due <= ? ORDER BY due", now):
                self.decide(row["reference"], row["later"])

    def decide(self, reference: str, status: str, reason: str = "") -> Json:
        """End a check, whatever it said before, and tell the wallet."""
        with self._book.transaction():
            self._book.run(
                "UPDATE identity_check SET status = ?, reason = ?, later = NULL, due = NULL WHERE reference = ?",
                status,
                reason or _REASONS.get(status),
                reference,
            )
            view = self.view(reference)
            row = self._find(reference)
            if row is not None and row["callbacks"]:
                add_callback(
                    self._book,
                    service="identity",
                    url=row["callback_url"],
                    kind="check.completed",
                    data=view,
                    copies=row["callbacks"],
                )
            return view

    def _find(self, reference: str) -> Row | None:
        return self._book.row("SELECT * FROM identity_check WHERE reference = ?", reference)
