"""The machine can fail: mistakes that are put into the database's functions are found, each in so many steps."""

import pytest

from tests.ledger.model.machine import Machine, run
from tests.ledger.model.town import Founded

pytestmark = pytest.mark.thorough

STEPS = 5_000
#: Found within some 200 steps, so that each test run may show it; in depth all are looked for.
QUICK = (
    "what fails goes on being reserved",
    "reversals that are under way are not counted",
    "what fails is not given back to its limit",
)

# By what is wrong: the function, what it says, and what it says instead.
MISTAKES = {
    "what fails goes on being reserved": (
        "ledger_fail",
        "UPDATE accounts_account a SET reserved = a.reserved - released.amount",
        "UPDATE accounts_account a SET reserved = a.reserved - 0 * released.amount",
    ),
    "the rest of a partial capture is kept": ("ledger_capture", "AND rest.amount > 0", "AND false"),
    "a hold is captured after it expired": (
        "ledger_capture",
        "OR (v_hold.status = 'pending' AND v_hold.expires_at <= v_now)",
        "",
    ),
    "the payer voids a hold that is running": ("ledger_void", "v_code = 'voided' AND NOT v_payee", "false"),
    "reversals that are under way are not counted": (
        "reversal_is_covered",
        "r.status <> 'failed'",
        "r.status = 'cleared'",
    ),
    "what fails is not given back to its limit": (
        "ledger_fail",
        "PERFORM ledger_give_back(array_agg(t.id), array_agg(coalesce(t.captured_amount, t.amount)))",
        "PERFORM count(*)",
    ),
    "money leaves a frozen account": ("ledger_clear", "d.kind = 'customer' AND d.status <> 'open'", "false"),
    "two spend the same money at once": (
        "ledger_post_pending",
        "WHERE a.id = ANY (v_debits) AND a.kind = 'customer' ORDER BY a.id FOR NO KEY UPDATE",
        "WHERE false",
    ),
    "a worker decides whose lease has passed on": (
        "ledger_lock",
        "AND (p_tokens IS NULL OR w.lease_token = p_tokens[array_position(p_units, w.unit_id)])",
        "",
    ),
    "a key is replayed for another request": ("ledger_post_pending", "OR v_claim.request_hash <> p_hash", ""),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    deep = metafunc.config.getoption("--steps") > STEPS
    metafunc.parametrize("mistake", MISTAKES if deep else QUICK)


def test_a_mistake_is_found(mistake: str, origin: Founded, redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    class Mistaken(Machine):
        pass

    Mistaken.origin, Mistaken.planted = origin, MISTAKES[mistake]
    # Whichever notices first: the model, an invariant, a constraint.
    with pytest.raises(Exception) as found:
        run(Mistaken, 1, steps=STEPS)
    with capsys.disabled():
        print(f"{mistake}: found in {Mistaken.steps} steps: {str(found.value).splitlines()[0]}")  # noqa: T201
