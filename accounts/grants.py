"""What the application may write of people and accounts. Never a balance, and never a row that others rely on."""

TABLES = {
    "accounts_user": "INSERT, UPDATE",
    "accounts_user_groups": "INSERT, DELETE",
    "accounts_user_user_permissions": "INSERT, DELETE",
    "accounts_principal": "INSERT",
    "accounts_idempotencyclaim": "INSERT",
    "accounts_customer": "INSERT, UPDATE (kyc_status, kyc_reason, profile_id, verified_profile_id, verified_until)",
    "accounts_customerlevel": "INSERT, UPDATE (level, limits, changed_at)",
    "accounts_profileversion": "INSERT",
    "accounts_account": "INSERT, UPDATE (label, status, status_reason)",
    "accounts_beneficiary": "INSERT, UPDATE (label, status, removed_at)",
    "accounts_handle": "INSERT, UPDATE (status, given_up_at)",
    "accounts_statechange": "INSERT",
}
FUNCTIONS: tuple[str, ...] = ()
