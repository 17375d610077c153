"""What of people may go (docs/operations.md)."""

from wallet_project.utils.retention import Expiring

EXPIRING = [
    Expiring(
        name="sessions",
        title="sessions that have expired",
        table="django_session",
        key="session_key",
        key_type="text",
        moment="expire_date",
        condition="true",
    ),
    Expiring(
        name="devices",
        title="addresses and devices of sessions that are over",
        table="usersessions_usersession",
        key_type="bigint",
        moment="last_seen_at",
        condition="NOT EXISTS (SELECT FROM django_session s WHERE s.session_key = t.session_key)",
    ),
]
