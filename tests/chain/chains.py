"""A chain with something in it, and what its verifier says."""

from typing import Any

from tests.support import factories
from wallet_project.chain.sealing import seal
from wallet_project.chain.verification import ChainCheck
from wallet_project.embedded.processes import wait_until
from wallet_project.utils.verification import Result, rows, verify

SEAL_SECONDS = 20.0


def seal_all(*, every: int = 1_000) -> int:
    """Seal until every row is; the number of the last block. Transactions of other tests on this server hold it up."""

    def nothing_left() -> bool:
        seal(rows=every)
        return result().figures["unsealed_rows"] == 0

    assert wait_until(nothing_left, seconds=SEAL_SECONDS), result()
    return head()


def head() -> int:
    return int(rows("SELECT max(number) AS number FROM chain_block")[0]["number"])


def some_blocks(count: int = 3) -> int:
    """Money moved and sealed, again and again; the number of the last block."""
    for amount in range(1, count + 1):
        factories.make_account(funded=100 * amount)
        seal_all()
    return head()


def result(check: ChainCheck | None = None) -> Result:
    """What is found by computing every hash; believing the database's as long as they fit must find the same."""
    check = check or ChainCheck()
    found, quickly = verify([check, ChainCheck(after=check.after, quickly=True)], timeout_seconds=30)
    assert quickly == found
    return found


def offences(check: ChainCheck | None = None) -> list[dict[str, Any]]:
    return [dict(row) for row in result(check).offending]


def problems() -> set[str]:
    return {row["problem"] for row in offences()}
