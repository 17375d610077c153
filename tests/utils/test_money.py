"""Money is an integer and a currency."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_project.utils.money import MAX_AMOUNT, CurrencyMismatch, Money, UnknownCurrency, exponent, format_money


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1234567, "EUR", "12,345.67 EUR"),
        (5, "EUR", "0.05 EUR"),
        (0, "USD", "0.00 USD"),
        (-5, "EUR", "-0.05 EUR"),
        (-123456, "CHF", "-1,234.56 CHF"),
        (1234567, "JPY", "1,234,567 JPY"),
        (MAX_AMOUNT, "EUR", "10,000,000,000,000.00 EUR"),
    ],
)
def test_money_is_written_for_people(amount: int, currency: str, text: str) -> None:
    assert format_money(amount, currency) == str(Money(amount, currency)) == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_what_is_written_is_the_amount_to_the_cent(amount: int) -> None:
    text, _ = format_money(amount, "EUR").split()
    assert int(text.replace(",", "").replace(".", "")) == amount


def test_the_exponent_is_the_currencys() -> None:
    assert (exponent("EUR"), exponent("JPY")) == (2, 0)


@pytest.mark.parametrize("amount", [1.0, True, "1", None])
def test_an_amount_that_is_no_int_is_refused(amount: Any) -> None:
    with pytest.raises(TypeError):
        Money(amount, "EUR")


def test_a_currency_that_the_wallet_does_not_keep_is_refused() -> None:
    with pytest.raises(UnknownCurrency):
        Money(1, "XXX")


def test_amounts_of_one_currency_add_and_compare() -> None:
    assert Money(5, "EUR") + Money(7, "EUR") == Money(12, "EUR")
    assert Money(5, "EUR") - Money(7, "EUR") == -Money(2, "EUR")
    assert Money(5, "EUR") < Money(7, "EUR") <= Money(7, "EUR")
    assert max(Money(5, "EUR"), Money(7, "EUR")) == Money(7, "EUR")


def test_two_currencies_never_meet() -> None:
    euro, dollar = Money(5, "EUR"), Money(5, "USD")
    assert euro != dollar
    for meet in (lambda: euro + dollar, lambda: euro - dollar, lambda: euro < dollar, lambda: euro <= dollar):
        with pytest.raises(CurrencyMismatch):
            meet()
