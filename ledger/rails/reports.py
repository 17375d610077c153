"""What a bank says of a payment, read strictly and compared with what was asked."""

from typing import Final, cast, get_args

from ledger.rails.protocol import Payer, PaymentReport, RailAnswer, RailOrder, RailStatus
from wallet_project.utils.http_client import JsonObject, ProviderAnswerMismatch

#: A name is compared up to here; what is longer stands in the bank's raw words.
_LONGEST_NAME: Final = 300


def read_report(raw: JsonObject) -> PaymentReport:
    """A payment as the bank describes it in answers and callbacks. Raises ProviderAnswerMismatch when malformed."""
    status = text(raw, "status")
    if status not in get_args(RailStatus):
        raise ProviderAnswerMismatch(f"unknown status {status!r}", raw=raw)
    amount = integer(raw, "amount")
    if amount <= 0:
        raise ProviderAnswerMismatch("an amount that is not positive", raw=raw)
    return PaymentReport(
        reference=text(raw, "reference"),
        bank_reference=text(raw, "id"),
        status=cast(RailStatus, status),
        amount=amount,
        currency=text(raw, "currency"),
        reason=_reason(raw),
        raw=raw,
        payer=read_payer(raw),
    )


def read_payer(raw: JsonObject) -> Payer | None:
    """Whom the bank names as the payer; None where it names nobody. Raises ProviderAnswerMismatch when malformed."""
    said = raw.get("payer")
    if said is None:
        return None
    if not isinstance(said, dict):
        raise ProviderAnswerMismatch("a payer who is no object", raw=raw)
    texts = {field: said.get(field) or "" for field in ("name", "iban", "country")}
    if not all(isinstance(each, str) for each in texts.values()):
        raise ProviderAnswerMismatch("a payer that makes no sense", raw=raw)
    name = " ".join(texts["name"].split())[:_LONGEST_NAME]
    iban, country = ("".join(texts[field].split()).upper() for field in ("iban", "country"))
    return Payer(name, iban[:34], country[:2]) if name else None


def match_report(report: PaymentReport, order: RailOrder) -> RailAnswer:
    """The report as an answer to `order`. Raises ProviderAnswerMismatch when it is about anything else."""
    if (report.reference, report.amount, report.currency) != (order.reference, order.amount, order.currency):
        raise ProviderAnswerMismatch("the bank speaks of another payment, amount or currency", raw=report.raw)
    return RailAnswer(report.status, report.bank_reference, report.reason, report.raw)


def text(raw: JsonObject, field: str) -> str:
    value = raw.get(field)
    if not isinstance(value, str) or not value:
        raise ProviderAnswerMismatch(f"no {field}", raw=raw)
    return value


def integer(raw: JsonObject, field: str) -> int:
    value = raw.get(field)
    # A bool is an int to Python, and money is never a float.
    if type(value) is not int:
        raise ProviderAnswerMismatch(f"{field} is no integer", raw=raw)
    return value


def _reason(raw: JsonObject) -> str:
    reason = raw.get("reason")
    return reason if isinstance(reason, str) else ""
