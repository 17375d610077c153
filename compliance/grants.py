"""What the application may write of decisions: cases move, notes and decisions only come."""

TABLES = {
    "compliance_kyccheck": (
        "INSERT, UPDATE (status, attempts, next_at, lease_token, decided_by, reason, decided_at, provider_reference, "
        "answers)"
    ),
    "compliance_kyccheck_documents": "INSERT",
    "compliance_document": "INSERT, UPDATE (status, reason, decided_at)",
    "compliance_documentaccess": "INSERT",
    "compliance_riskweights": "INSERT, UPDATE (status)",
    "compliance_riskagreement": "INSERT",
    "compliance_customerrisk": "INSERT, UPDATE (weights_id, score, band, parts, next_at)",
    "compliance_riskscore": "INSERT",
    "compliance_screening": "INSERT, UPDATE (status, decided_by, reason, decided_at)",
    "compliance_case": "INSERT, UPDATE (priority, due_at, assignee_id, status, resolved_at)",
    "compliance_casenote": "INSERT",
    "compliance_decision": "INSERT",
    "compliance_inboundevent": "INSERT, UPDATE (next_at, attempts, processed_at, last_error)",
    "compliance_selfaudit": "INSERT",
    "compliance_statechange": "INSERT",
    "compliance_sanctionslist": "INSERT, UPDATE (activations)",
    "compliance_listversion": "INSERT, UPDATE (status, activated_at, retired_at, seen_at)",
    "compliance_sanctionsentry": "INSERT",
    "compliance_sanctionsname": "INSERT",
    "compliance_listchange": "INSERT",
    "compliance_listindex": "INSERT",
    "compliance_listdecision": "INSERT",
    "compliance_namescreening": "INSERT, UPDATE (status, decided_at)",
    "compliance_namematch": "INSERT",
    "compliance_payerscreening": "INSERT, UPDATE (status, decided_at)",
    "compliance_destinationmatch": "INSERT",
    "compliance_nametokens": "INSERT, UPDATE (profile_number, made_by, tokens)",
    "compliance_rescreening": (
        "INSERT, UPDATE (made_by, cursor, prepared_at, entry_cursor, looked_up_at, screened, candidates, matched, "
        "moved_at, done_at)"
    ),
    "compliance_rescreeningcandidate": "INSERT, DELETE",
    "compliance_rule": "INSERT",
    "compliance_ruleversion": "INSERT, UPDATE (status)",
    "compliance_ruledecision": "INSERT",
    "compliance_rulesrevision": "INSERT",
    "compliance_backtest": "INSERT, UPDATE (status, next_at, lease_token, attempts, replayed, report, error, ended_at)",
}
FUNCTIONS = ("compliance_facts",)
