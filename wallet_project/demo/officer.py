"""A compliance officer at the admin, as far as the story needs one: she logs in and looks whether a case is there."""

import html
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Final

from wallet_project.demo.customer import PATIENCE_SECONDS, POLL_SECONDS, NotAsTold
from wallet_project.demo.http import NotReached

_TOKEN: Final = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
_CASE: Final = re.compile(r'href="(/admin/compliance/case/[0-9a-f-]{36}/change/)[^"]*"[^>]*>([^<]+)</a>')


class Officer:
    """`logins` is what `manage.py create_demo_staff` printed: e-mail, password and role in each line."""

    def __init__(self, *, base_url: str, logins: Path) -> None:
        rows = [line.split(maxsplit=2) for line in logins.read_text().splitlines()]
        found = [(email, password) for email, password, role in rows if role == "Officer"]
        if not found:
            raise NotAsTold(f"{logins} names no officer")
        self.email, self._password = found[0]
        self._base_url = base_url
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        )

    def log_in(self) -> None:
        """Raises NotAsTold when the admin does not let her in."""
        token = _TOKEN.search(self._page("/admin/login/"))
        fields = {
            "csrfmiddlewaretoken": token.group(1) if token else "",
            "username": self.email,
            "password": self._password,
            "next": "/admin/",
        }
        if 'name="password"' in self._page("/admin/login/", form=fields):
            raise NotAsTold(f"the admin's login: expected {self.email} to get in, got the form again")

    def find_case(self, about: str) -> tuple[str, str]:
        """Path and reason of the one case about that transaction. Raises NotAsTold."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            cases = _CASE.findall(self._page(f"/admin/compliance/case/?q={urllib.parse.quote(about)}"))
            if len(cases) == 1:
                break
            if cases or time.monotonic() > deadline:
                raise NotAsTold(f"the queue of cases: expected one about {about}, got {len(cases)}")
            time.sleep(POLL_SECONDS)
        path, reason = cases[0]
        return path, html.unescape(reason)

    def _page(self, path: str, *, form: dict[str, str] | None = None) -> str:
        # Behind TLS Django wants to know where a form was sent from.
        request = urllib.request.Request(  # noqa: S310 - check_base_url has let the address through
            self._base_url + path,
            data=urllib.parse.urlencode(form).encode() if form else None,
            headers={"Referer": self._base_url + path},
        )
        try:
            with self._opener.open(request, timeout=20) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as refusal:
            raise NotAsTold(f"{path}: expected a page, got status {refusal.code}") from refusal
        except OSError as error:
            raise NotReached(f"{self._base_url} does not answer: {error}") from error
