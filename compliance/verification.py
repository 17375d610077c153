"""What `verify_ledger` checks of compliance: nothing is stuck (I6), and no money moved without having been screened."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from wallet_project.utils.state_paths import state_path_offences, state_path_offences_since, state_paths_hold
from wallet_project.utils.verification import Check, SqlCheck, without

#: How far behind its due time something may be before it counts as stuck: sweeps come every few seconds, and a worker
#: that died gives its lease back after a minute.
LATE: Final = "10 minutes"

_FIGURES: Final = """
    SELECT (SELECT count(*) FROM ledger_workitem WHERE stage = 'review') AS units_in_review,
           (SELECT count(*) FROM compliance_case WHERE NOT status = 'resolved') AS open_cases,
           (SELECT count(*) FROM compliance_kyccheck WHERE status NOT IN ('approved', 'rejected')) AS active_checks,
           (SELECT count(*) FROM ledger_escalation WHERE status = 'open') AS open_escalations
"""

_FIGURES_OF_LOG: Final = "SELECT count(*) AS changes FROM compliance_statechange"

#: As compliance/services/lists.py makes it of what it has read: the publisher's ids in order, each with its content.
_DIGEST: Final = """
    (SELECT encode(sha256(string_agg(convert_to(h.external_id, 'UTF8') || '\\x00'::bytea || e.content_hash, ''::bytea
                                     ORDER BY h.external_id COLLATE "C")), 'hex')
     FROM (
        SELECT DISTINCT ON (c.external_id) c.external_id, c.entry_id
        FROM compliance_listchange c JOIN compliance_listversion o ON o.id = c.version_id
        WHERE o.list_id = v.list_id AND o.number <= v.number
        ORDER BY c.external_id, o.number DESC
     ) h JOIN compliance_sanctionsentry e ON e.id = h.entry_id)"""

#: About money.
_OPEN_CASES: Final = """
    SELECT c.id AS case_id, s.transaction_id, s.status FROM compliance_case c
    JOIN compliance_screening s ON s.id = c.screening_id WHERE NOT c.status = 'resolved'
    UNION ALL
    SELECT c.id, p.transaction_id, p.status FROM compliance_case c
    JOIN compliance_payerscreening p ON p.id = c.payer_screening_id WHERE NOT c.status = 'resolved'"""

_OFFENCES: Final = {
    "held for review without an open case": without(
        "SELECT w.unit_id FROM ledger_workitem w WHERE w.stage = 'review'",
        f"""SELECT coalesce(t.group_id, t.id) AS unit_id FROM ({_OPEN_CASES}) o
            JOIN ledger_transaction t ON t.id = o.transaction_id WHERE o.status = 'in_review'""",  # noqa: S608
        on="unit_id",
    ),
    "an open case about money that no longer waits for it": f"""
        SELECT o.case_id, t.id AS transaction_id, t.status FROM ({_OPEN_CASES}) o
        JOIN ledger_transaction t ON t.id = o.transaction_id
        LEFT JOIN ledger_workitem w ON w.unit_id = coalesce(t.group_id, t.id)
        WHERE w.stage IS DISTINCT FROM 'review'
            -- A payer may cancel at any moment; the sweep closes the case soon after.
            AND NOT EXISTS (
                SELECT FROM ledger_statechange l
                WHERE l.subject_id = t.id AND l.to_state = t.status AND l.at > now() - %(late)s::interval)
    """,  # noqa: S608
    "an identity check that nothing will move on": """
        SELECT k.id AS check_id, k.status, k.next_at FROM compliance_kyccheck k
        LEFT JOIN compliance_case c ON c.kyc_check_id = k.id AND NOT c.status = 'resolved'
        WHERE (k.status IN ('queued', 'running') AND (k.next_at IS NULL OR k.next_at < now() - %(late)s::interval)
                -- Held by a match that waits for a person.
                AND NOT EXISTS (SELECT FROM compliance_namescreening s
                                WHERE s.customer_id = k.customer_id AND s.status = 'in_review'))
            OR (k.status = 'in_review' AND c.id IS NULL)
    """,
    "a match with a name on a list without an open case": """
        SELECT s.id AS name_screening, s.customer_id FROM compliance_namescreening s
        LEFT JOIN compliance_case c ON c.name_screening_id = s.id AND NOT c.status = 'resolved'
        WHERE s.status = 'in_review' AND c.id IS NULL
    """,
    "a list in force that does not hold what its digest says": f"""
        SELECT v.id AS list_version, v.list_id, v.number FROM compliance_listversion v
        WHERE v.status = 'active' AND v.digest IS DISTINCT FROM {_DIGEST}
    """,  # noqa: S608 - a constant of this module
    "a look for all customers on a list that does not go on": """
        SELECT r.id AS rescreening, r.cursor, r.moved_at FROM compliance_rescreening r
        WHERE r.done_at IS NULL AND r.moved_at < now() - %(late)s::interval
    """,
    "a customer whose identity should have been checked again": """
        SELECT c.id AS customer_id, c.verified_until FROM accounts_customer c
        WHERE c.kyc_status = 'verified' AND c.verified_until < now() - interval '1 day'
    """,
    "a customer who waits for a check that nobody makes": """
        SELECT c.id AS customer_id FROM accounts_customer c
        WHERE c.kyc_status = 'pending'
            AND NOT EXISTS (
                SELECT FROM compliance_kyccheck k
                WHERE k.customer_id = c.id AND k.level = 'basic' AND k.status IN ('queued', 'running', 'in_review'))
            AND NOT EXISTS (
                SELECT FROM accounts_statechange l
                WHERE l.subject_id = c.id AND l.to_state = 'pending' AND l.at > now() - %(late)s::interval)
            AND NOT EXISTS (
                SELECT FROM compliance_kyccheck k
                WHERE k.customer_id = c.id AND k.level = 'basic' AND k.decided_at > now() - %(late)s::interval)
    """,
    "a key that asked for a level and made no check": """
        SELECT c.id AS key_id, c.result_id FROM accounts_idempotencyclaim c
        WHERE c.operation = 'request_level'
            AND NOT EXISTS (SELECT FROM compliance_kyccheck k WHERE k.id = c.result_id AND k.level = 'full')
    """,
    "a document past its last day": """
        SELECT d.id AS document_id, d.expires_on FROM compliance_document d
        WHERE d.status IN ('received', 'accepted') AND d.expires_on < (now() AT TIME ZONE 'UTC')::date - 1
    """,
    "a full level that no documents show": """
        SELECT l.customer_id FROM accounts_customerlevel l
        WHERE l.level = 'full' AND 2 > (
            SELECT count(DISTINCT d.kind = 'proof_of_address') FROM compliance_document d
            WHERE d.customer_id = l.customer_id AND d.status = 'accepted' AND d.kind <> 'source_of_funds')
    """,
    "approved money of a customer without an approved screening": """
        SELECT t.id AS transaction_id, s.status FROM ledger_transaction t
        LEFT JOIN compliance_screening s ON s.transaction_id = t.id
        WHERE t.approved_at IS NOT NULL AND s.status IS DISTINCT FROM 'approved'
            AND EXISTS (SELECT FROM accounts_principal p WHERE p.id = t.initiator_id AND p.kind <> 'system')
            AND NOT EXISTS (SELECT FROM ledger_adjustment j WHERE j.transaction_id = t.id)
    """,
    "a deposit that was posted although its payer was not let through": """
        SELECT r.transaction_id, r.payer_passed_at, p.status FROM ledger_railtransfer r
        JOIN ledger_transaction t ON t.id = r.transaction_id AND t.status = 'cleared'
        LEFT JOIN compliance_payerscreening p ON p.transaction_id = r.transaction_id
        WHERE r.payer IS NOT NULL AND (p.status IS NULL OR p.status NOT IN ('clear', 'let_through'))
            -- Named when it had been posted: a person looks for him.
            AND NOT (r.payer_passed_at IS NULL AND EXISTS (
                SELECT FROM ledger_escalation e WHERE e.transaction_id = t.id AND e.kind = 'payer_named_late'))
    """,
    "a payer who was found on a list without an open case": """
        SELECT p.id AS payer_screening, p.transaction_id FROM compliance_payerscreening p
        LEFT JOIN compliance_case c ON c.payer_screening_id = p.id AND NOT c.status = 'resolved'
        WHERE p.status = 'in_review' AND c.id IS NULL
    """,
    "a payer whom nobody has looked for": """
        SELECT e.id AS escalation_id, e.kind FROM ledger_escalation e
        JOIN compliance_case c ON c.escalation_id = e.id
        LEFT JOIN compliance_payerscreening p ON p.escalation_id = e.id
        WHERE e.details ? 'payer' AND p.id IS NULL
    """,
    "an escalation without an open case": """
        SELECT e.id AS escalation_id, e.kind FROM ledger_escalation e
        LEFT JOIN compliance_case c ON c.escalation_id = e.id AND NOT c.status = 'resolved'
        WHERE e.status = 'open' AND c.id IS NULL AND e.created_at < now() - %(late)s::interval
    """,
    # Workers go by the set: a version that is active and not in it decides nothing, and nobody would see.
    "the newest set of rules is not what is active and in shadow": """
        SELECT v.id AS version_id, v.status FROM compliance_ruleversion v
        CROSS JOIN (SELECT active, shadow FROM compliance_rulesrevision ORDER BY number DESC LIMIT 1) AS newest
        WHERE (v.status = 'active') <> (newest.active ? v.id::text)
            OR (v.status = 'shadow') <> (newest.shadow ? v.id::text)
    """,
    # One waits for the one before it, and both for a self-audit: the lane is theirs together.
    "a backtest that nobody runs": """
        SELECT id AS backtest_id, status, next_at FROM compliance_backtest WHERE next_at < now() - interval '6 hours'
    """,
    "an identity provider's message that nobody has looked at": """
        SELECT id AS event, next_at FROM compliance_inboundevent WHERE next_at < now() - %(late)s::interval
    """,
}


def checks() -> Sequence[Check]:
    """I5 and I6, as far as they are compliance's to hold."""
    return [
        SqlCheck(
            name="I5",
            title="Checks, screenings and cases have gone only where they may",
            figures=_FIGURES_OF_LOG,
            offences=state_path_offences("compliance"),
            proofs=[state_paths_hold("compliance")],
        ),
        SqlCheck(
            name="I6",
            title="Every check, screening and case moves on by itself or waits for a person who knows of it",
            figures=_FIGURES,
            offences=_OFFENCES,
            parameters={"late": LATE},
        ),
    ]


def checks_since(since: int, moment: datetime) -> Sequence[Check]:
    """Of what transactions numbered `since` and above wrote."""
    return [
        SqlCheck(
            name="I5",
            title="Checks, screenings and cases have since gone only where they may; new money was screened",
            figures="SELECT count(*) AS new_changes FROM compliance_statechange WHERE xact >= %(since)s",
            offences={**state_path_offences_since("compliance"), **_UNSCREENED_SINCE},
            parameters={"since": since},
        )
    ]


_UNSCREENED_SINCE: Final = {
    "approved money of a customer without an approved screening": f"""
        {_OFFENCES["approved money of a customer without an approved screening"]} AND t.xact >= %(since)s"""
}
