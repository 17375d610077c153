"""What payments cost: the rules, the quotes, and the fee as a leg of the payment."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.fees import FeeBand, check_fees, fee_in, fee_of
from wallet_project.utils.money import MAX_AMOUNT, Money

BANDS = [{"from": 1, "flat": 10}, {"from": 100_000, "basis_points": 25, "min": 300, "max": 2_500}]


def band(**said: int) -> FeeBand:
    return FeeBand(**{"start": 1, "flat": 0, "basis_points": 0, "least": 0, "most": MAX_AMOUNT, **said})


@pytest.mark.parametrize(
    ("amount", "fee"),
    [(1, 10), (99_999, 10), (100_000, 300), (120_000, 300), (120_200, 301), (999_800, 2_500), (MAX_AMOUNT, 2_500)],
)
def test_the_highest_band_that_the_amount_reaches_says_the_fee(amount: int, fee: int, settings: Any) -> None:
    settings.FEES = {"transfer": {"EUR": BANDS}}
    check_fees()
    assert fee_of("transfer", Money(amount, "EUR")) == fee
    settings.FEES = {"transfer": {"EUR": BANDS[::-1]}}
    assert fee_of("transfer", Money(amount, "EUR")) == fee


def test_what_is_not_named_costs_nothing(settings: Any) -> None:
    settings.FEES = {"transfer": {"EUR": [{"from": 500, "flat": 10}]}}
    assert fee_of("transfer", Money(499, "EUR")) == 0
    assert fee_of("transfer", Money(500, "EUR")) == 10
    assert fee_of("transfer", Money(500, "USD")) == 0
    assert fee_of("withdrawal", Money(500, "EUR")) == 0


@pytest.mark.parametrize(("amount", "fee"), [(49, 0), (50, 1), (149, 1), (150, 2), (10_000, 100)])
def test_a_half_of_a_cent_is_rounded_up(amount: int, fee: int) -> None:
    assert band(basis_points=100).fee(amount) == fee


def test_the_flat_part_and_the_share_are_added_before_the_bounds() -> None:
    assert band(flat=30, basis_points=50, least=40, most=100).fee(1_000) == 40
    assert band(flat=30, basis_points=50, least=40, most=100).fee(4_000) == 50
    assert band(flat=30, basis_points=50, least=40, most=100).fee(100_000) == 100


@given(
    st.lists(st.integers(1, MAX_AMOUNT), max_size=4, unique=True),
    st.integers(1, MAX_AMOUNT),
    st.integers(0, MAX_AMOUNT),
    st.integers(0, 10_000),
)
def test_a_fee_is_always_an_amount_that_the_ledger_takes(
    starts: list[int], amount: int, flat: int, basis_points: int
) -> None:
    bands = [band(start=start, flat=flat, basis_points=basis_points) for start in starts]
    fee = fee_in(bands, amount)
    assert 0 <= fee <= MAX_AMOUNT
    assert (fee == 0) or any(start <= amount for start in starts)
