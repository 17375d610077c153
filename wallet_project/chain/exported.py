"""Is what was signed outside still what is here?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from wallet_project.chain import heads
from wallet_project.chain.heads import BadHead, Line
from wallet_project.utils.verification import MAX_ROWS, Result, rows

_BATCH: Final = 1_000


@dataclass
class HeadsCheck:
    """Every head in `folder`, signed by a trusted key: by default the first one in the folder's own keys.json, whose id
    whoever checks compares with the one that was published."""

    folder: Path
    keys: Path | None = None
    name: str = "I8"
    title: str = "Every head that was signed outside is a block here"
    _offending: list[dict[str, Any]] = field(default_factory=list)
    _figures: dict[str, Any] = field(default_factory=dict)

    def before(self) -> None:
        """Nothing to ask of others."""

    def read(self) -> None:
        self._offending, self._figures = [], {"signed_heads": 0, "given_up": 0, "key": ""}
        try:
            known = heads.known_keys(self.keys or self.folder / heads.KEYS)
            first = next(iter(known), "")
            self._figures["key"] = first
            restored = self._restored()
            signed = enumerate(heads.believed(self.folder, {first: known[first]} if first else {}))
            while batch := list(islice(signed, _BATCH)):
                self._compare(batch, restored)
        except BadHead as bad:
            self._offending.append({"problem": "a head is not to be believed", "why": str(bad)})

    def result(self) -> Result:
        return Result(self.name, self.title, self._figures, self._offending[:MAX_ROWS])

    def _restored(self) -> list[tuple[int, int]]:
        """(place in the folder, block) of each time at which heads above a block were given up."""
        return [
            (place, line.statement.given_up_after or 0)
            for place, line in enumerate(heads.lines(self.folder))
            if line.statement.kind == "restored"
        ]

    def _compare(self, batch: Sequence[tuple[int, Line]], restored: Sequence[tuple[int, int]]) -> None:
        wanted = {"numbers": [line.statement.block for _, line in batch]}
        found = rows("SELECT number, hash FROM chain_block WHERE number = ANY(%(numbers)s) OR number = 0", wanted)
        hashes = {row["number"]: bytes(row["hash"]).hex() for row in found}
        for place, line in batch:
            said = line.statement
            self._figures["signed_heads"] += 1
            if any(place < later and said.block > kept for later, kept in restored):
                self._figures["given_up"] += 1
                continue
            for problem in _problems(line, hashes):
                if len(self._offending) < MAX_ROWS:
                    self._offending.append({"problem": problem, "block": said.block, "signed_at": said.signed_at})


def _problems(line: Line, hashes: dict[int, str]) -> Iterator[str]:
    said = line.statement
    if said.chain != hashes.get(0):
        yield "a head of another chain"
    elif said.block not in hashes:
        yield "a block that was signed is not there"
    elif hashes[said.block] != said.hash:
        yield "a block is not the one that was signed"
