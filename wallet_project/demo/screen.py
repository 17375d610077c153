"""What the spectator sees: chapters, what was asked and what came back, and what the story makes of it."""

import json
from collections.abc import Mapping
from typing import Any, Final, TextIO

_BOLD, _DIM, _GREEN, _RED, _CYAN = "1", "2", "32", "31", "36"
#: Long ids are told by their beginning and end; the API gives them whole.
_LONG: Final = 20
#: What is sent is told so far; the rest of a profile or of a beneficiary adds nothing to the story.
_WIDE: Final = 130


class Screen:
    """Writes lines to `out`; colours only where somebody looks."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colored = out.isatty()
        self._chapter = 0

    def chapter(self, title: str) -> None:
        self._chapter += 1
        self._line(f"\n{self._paint(_BOLD, f'{self._chapter}. {title}')}")

    def say(self, sentence: str) -> None:
        self._line(f"   {sentence}")

    def exchange(self, who: str, method: str, path: str, body: Mapping[str, Any] | None, status: int) -> None:
        """One request, and the status that came back."""
        sent = f" {self._paint(_DIM, _short(body))}" if body else ""
        good = _GREEN if status < 400 else _RED
        asked = f"{method} {shorten(path)}"
        self._line(
            f"   {self._paint(_DIM, f'{who:<6}')} {self._paint(_CYAN, asked)}{sent} → {self._paint(good, str(status))}"
        )

    def came_back(self, facts: Mapping[str, Any]) -> None:
        """The fields of an answer that matter here; each has been compared with what the story expects."""
        told = ", ".join(f"{name}: {shorten(_plain(value))}" for name, value in facts.items())
        self._line(f"          {self._paint(_GREEN, '✓')} {told}")

    def wrong(self, message: str) -> None:
        self._line(f"\n{self._paint(_RED, '✗ ' + message)}")

    def _paint(self, color: str, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._colored else text

    def _line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def money(minor_units: int) -> str:
    """Cents as people write them: 1,250.00."""
    return f"{minor_units / 100:,.2f}"


def shorten(text: str) -> str:
    """The same with the middle of each UUID left out."""
    return "/".join(
        f"{part[:8]}…{part[-4:]}" if len(part) > _LONG and part.count("-") == 4 else part for part in text.split("/")
    )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _short(body: Mapping[str, Any]) -> str:
    hidden = {name: "…" if name == "password" else value for name, value in body.items()}
    told = {name: shorten(value) if isinstance(value, str) else value for name, value in hidden.items()}
    text = json.dumps(told, ensure_ascii=False)
    return text if len(text) <= _WIDE else text[:_WIDE] + "…"
