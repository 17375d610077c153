"""What `verify_ledger` checks of people and accounts."""

from collections.abc import Sequence
from datetime import datetime

from wallet_project.utils.state_paths import state_path_offences, state_path_offences_since, state_paths_hold
from wallet_project.utils.verification import Check, SqlCheck


def checks() -> Sequence[Check]:
    return [
        SqlCheck(
            name="I5",
            title="Customers, levels, accounts, beneficiaries and handles have gone only where they may",
            figures="""SELECT (SELECT count(*) FROM accounts_customer) AS customers,
                              (SELECT count(*) FROM accounts_account) AS accounts,
                              (SELECT count(*) FROM accounts_beneficiary) AS beneficiaries,
                              (SELECT count(*) FROM accounts_handle) AS handles,
                              (SELECT count(*) FROM accounts_statechange) AS changes""",
            offences=state_path_offences("accounts"),
            proofs=[state_paths_hold("accounts")],
        )
    ]


def checks_since(since: int, moment: datetime) -> Sequence[Check]:
    """Of what transactions numbered `since` and above wrote."""
    return [
        SqlCheck(
            name="I5",
            title="Customers, accounts, beneficiaries and handles have since gone only where they may",
            figures="SELECT count(*) AS new_changes FROM accounts_statechange WHERE xact >= %(since)s",
            offences=state_path_offences_since("accounts"),
            parameters={"since": since},
        )
    ]
