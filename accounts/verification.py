"""What `verify_ledger` checks of people and accounts."""

from collections.abc import Sequence

from wallet_project.utils.state_paths import state_path_offences
from wallet_project.utils.verification import Check, SqlCheck


def checks() -> Sequence[Check]:
    return [
        SqlCheck(
            name="I5",
            title="Customers, accounts, beneficiaries and handles have gone only where they may",
            figures="""SELECT (SELECT count(*) FROM accounts_customer) AS customers,
                              (SELECT count(*) FROM accounts_account) AS accounts,
                              (SELECT count(*) FROM accounts_beneficiary) AS beneficiaries,
                              (SELECT count(*) FROM accounts_handle) AS handles,
                              (SELECT count(*) FROM accounts_statechange) AS changes""",
            offences=state_path_offences("accounts"),
        )
    ]
