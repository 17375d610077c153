"""The sandbox bank's own book, read as any customer of a bank reads a statement."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from wallet_project.demo.customer import NotAsTold
from wallet_project.demo.http import call


@dataclass(frozen=True, slots=True)
class Line:
    """`amount` in minor units, positive when money came in."""

    reference: str
    amount: int


class Bank:
    def __init__(self, *, url: str, key: str) -> None:
        self._url = url
        self._key = key

    def balance(self, currency: str) -> int:
        """Minor units."""
        return int(self._page(currency, "", limit=1)["balance"])

    def lines(self, currency: str) -> Iterator[Line]:
        """Every movement, oldest first."""
        after = ""
        while True:
            page = self._page(currency, after, limit=500)
            for line in page["lines"]:
                sign = 1 if line["direction"] == "in" else -1
                yield Line(line["reference"], sign * line["amount"])
            if page["next"] is None:
                return
            after = page["next"]

    def _page(self, currency: str, after: str, *, limit: int) -> dict[str, Any]:
        query = urlencode({"currency": currency, "after": after, "limit": limit})
        answer = call("GET", f"{self._url}/bank/v1/statement?{query}", headers={"Authorization": f"Bearer {self._key}"})
        if answer.status != 200:
            raise NotAsTold(f"the bank's statement: expected status 200, got {answer.status}: {answer.body}")
        return answer.body
