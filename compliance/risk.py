"""A customer's risk as a number: points for where he lives, what he uses and how he behaves, by versioned weights.

Knows neither models nor a database, but for the one statement that reads what is known of many customers at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from compliance.states import RiskBand
from wallet_project.utils.errors import InvalidInput
from wallet_project.utils.money import about_euros, currencies

MOST: Final = 100
#: What can have points, and what it says of a customer.
PARTS: Final[Mapping[str, str]] = {
    "other_country": "lives in a country that is not named",
    "level_none": "was never verified",
    "level_basic": "has shown no documents",
    "many_currencies": "has accounts in three currencies or more",
    "pays_out": "keeps bank accounts to pay out to",
    "new_customer": "has been a customer for less than 90 days",
    "large_turnover": "has sent a lot in 30 days",
    "many_debits": "has sent often in 30 days",
    "reviewed": "has had payments looked at in 90 days",
    "refused": "has had payments refused in 90 days",
    "list_match": "may be on a list, or is",
}
#: From which amount (about euros) and number on.
THRESHOLDS: Final = ("large_turnover_from", "many_debits_from")
BANDS: Final = ("medium_from", "high_from")

#: Sums of what was sent are differences of what payments carry themselves, as in sql/screening_facts.sql: a merchant
#: with a million payments costs two looks. Windows end now.
_KNOWN: Final = """
    SELECT c.id, coalesce(p.country, '') AS country, coalesce(l.level, 'none') AS level, c.created_at,
           held.kinds, EXISTS (SELECT FROM accounts_beneficiary b WHERE b.customer_id = c.id AND b.removed_at IS NULL),
           sent.euros, sent.debits, looked.reviewed, looked.refused,
           EXISTS (SELECT FROM compliance_namescreening s
                   WHERE s.customer_id = c.id AND s.status IN ('in_review', 'confirmed'))
    FROM accounts_customer c
    LEFT JOIN accounts_profileversion p ON p.id = c.profile_id
    LEFT JOIN accounts_customerlevel l ON l.customer_id = c.id
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT a.currency) AS kinds FROM accounts_account a
        WHERE a.customer_id = c.id AND a.status IN ('open', 'frozen')
    ) held
    CROSS JOIN LATERAL (
        SELECT coalesce(sum((a.sent - coalesce(first.sent_before, a.sent)) / e.minor_units), 0)::bigint AS euros,
               coalesce(sum(a.debits - coalesce(first.debits_before, a.debits)), 0)::bigint AS debits
        FROM accounts_account a
        JOIN unnest(%(currencies)s::text[], %(minor_units)s::bigint[]) AS e (currency, minor_units)
            ON e.currency = a.currency
        LEFT JOIN LATERAL (
            SELECT t.debits_before, t.sent_before FROM ledger_transaction t
            WHERE t.debit_account_id = a.id AND t.kind NOT IN ('deposit', 'fee')
                AND t.created_at >= %(now)s - interval '30 days'
            ORDER BY t.created_at, t.debits_before LIMIT 1
        ) first ON true
        WHERE a.customer_id = c.id AND a.debits > 0
    ) sent
    CROSS JOIN LATERAL (
        SELECT count(*) AS reviewed, count(*) FILTER (WHERE s.status = 'rejected') AS refused
        FROM compliance_case k JOIN compliance_screening s ON s.id = k.screening_id
        WHERE k.customer_id = c.id AND k.created_at > %(now)s - interval '90 days'
    ) looked
    WHERE c.id = ANY (%(customers)s)"""


class WeightsInvalid(InvalidInput):
    code = "risk_weights_invalid"
    message = "These are no weights; see `errors`."


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a customer. `sent_euros`: about euros in 30 days; counts of payments are of 90 days."""

    customer_id: UUID
    country: str
    level: str
    since: datetime
    currencies: int
    pays_out: bool
    sent_euros: int
    debits: int
    reviewed: int
    refused: int
    list_match: bool


@dataclass(frozen=True, slots=True)
class Score:
    score: int
    band: RiskBand
    parts: list[dict[str, Any]]


def known_of(customers: Sequence[UUID], *, now: datetime) -> list[Known]:
    """Of all of them in one query."""
    kept = list(currencies())
    with connection.cursor() as cursor:
        cursor.execute(
            _KNOWN,
            {
                "customers": list(customers),
                "now": now,
                "currencies": kept,
                "minor_units": [about_euros(1, currency) for currency in kept],
            },
        )
        return [Known(*row) for row in cursor.fetchall()]


def score(known: Known, weights: Mapping[str, Any], *, now: datetime) -> Score:
    """The points of each part that applies, at most 100 together, and what they are for."""
    points: Mapping[str, int] = weights["points"]
    countries: Mapping[str, int] = weights["countries"]
    found: list[tuple[str, int, str]] = []
    country = known.country in countries
    days = (now - known.since).days
    applies = {
        "other_country": (not country, known.country or "none is known"),
        "level_none": (known.level == "none", PARTS["level_none"]),
        "level_basic": (known.level == "basic", PARTS["level_basic"]),
        "many_currencies": (known.currencies >= 3, f"{known.currencies} currencies"),
        "pays_out": (known.pays_out, PARTS["pays_out"]),
        "new_customer": (days < 90, f"{days} days"),
        "large_turnover": (
            known.sent_euros >= weights["large_turnover_from"],
            f"about {known.sent_euros:,} euros in 30 days",
        ),
        "many_debits": (known.debits >= weights["many_debits_from"], f"{known.debits:,} in 30 days"),
        "reviewed": (known.reviewed > 0, f"{known.reviewed} in 90 days"),
        "refused": (known.refused > 0, f"{known.refused} in 90 days"),
        "list_match": (known.list_match, PARTS["list_match"]),
    }
    if country:
        found.append(("country", countries[known.country], known.country))
    found += [(part, points[part], because) for part, (does, because) in applies.items() if does]
    parts = [{"part": part, "points": each, "because": because} for part, each, because in found if each]
    total = min(sum(each for _, each, _ in found), MOST)
    band = RiskBand.LOW
    if total >= weights["medium_from"]:
        band = RiskBand.HIGH if total >= weights["high_from"] else RiskBand.MEDIUM
    return Score(total, band, parts)


def check_weights(weights: Any) -> dict[str, Any]:
    """Weights as they may be kept. Raises WeightsInvalid."""
    problem = _problem(weights)
    if problem:
        raise WeightsInvalid(problem, fields={"weights": problem})
    return dict(weights)


def _problem(weights: Any) -> str:
    wanted = {"points", "countries", *THRESHOLDS, *BANDS}
    if not isinstance(weights, dict) or set(weights) != wanted:
        return f"An object of {', '.join(sorted(wanted))}."
    points, countries = weights["points"], weights["countries"]
    if not isinstance(points, dict) or set(points) != set(PARTS) or not all(map(_is_points, points.values())):
        return f"Points from 0 to {MOST} for each of {', '.join(PARTS)}."
    if not isinstance(countries, dict) or not all(
        isinstance(name, str) and len(name) == 2 and name.isascii() and name.isupper() for name in countries
    ):
        return "Countries by their two letters (ISO 3166)."
    if not all(map(_is_points, countries.values())):
        return f"Points from 0 to {MOST} for each country."
    if not all(type(weights[name]) is int and weights[name] > 0 for name in THRESHOLDS):
        return f"Whole numbers above 0 for {' and '.join(THRESHOLDS)}."
    if not all(_is_points(weights[name]) for name in BANDS) or not 0 < weights["medium_from"] < weights["high_from"]:
        return "medium_from is above 0 and below high_from."
    return ""


def _is_points(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST


#: What a new wallet starts with. Countries are those of the FATF's statements of June 2026: three high-risk
#: jurisdictions subject to a call for action, 22 under increased monitoring; as supervisors and advisers reported the
#: whole list of 13 February 2026 and the changes of June. It changes three times a year: docs/kyc.md names the sources.
DEFAULT_WEIGHTS: Final[Mapping[str, Any]] = {
    "points": {
        "other_country": 0,
        "level_none": 15,
        "level_basic": 5,
        "many_currencies": 5,
        "pays_out": 5,
        "new_customer": 10,
        "large_turnover": 20,
        "many_debits": 10,
        "reviewed": 15,
        "refused": 25,
        "list_match": 60,
    },
    "countries": {
        **dict.fromkeys(("IR", "KP", "MM"), 60),
        **dict.fromkeys(
            (
                "AO",
                "BA",
                "BG",
                "BO",
                "CD",
                "CI",
                "CM",
                "HT",
                "IQ",
                "KE",
                "KW",
                "LA",
                "LB",
                "MC",
                "NP",
                "PG",
                "SS",
                "SY",
                "VE",
                "VG",
                "VN",
                "YE",
            ),
            20,
        ),
    },
    "large_turnover_from": 20_000,
    "many_debits_from": 500,
    "medium_from": 35,
    "high_from": 60,
}
