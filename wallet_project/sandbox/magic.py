"""The magic values: what to send so that the sandbox plays a given part. docs/sandbox.md shows the same tables.

A value works wherever it stands as a word of its own in the text that is looked at: for identity the document number,
for the bank the description, then the beneficiary's name, then the reference. The first one found counts.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal


class Fault(Enum):
    """How a submission goes wrong on its way."""

    HANG = "hang"  # never heard: no answer, nothing accepted, each time
    HANG_ACCEPTED = "hang accepted"  # heard and accepted, but the answer never comes; asked again, it does
    FAIL_TWICE = "fail twice"  # 503, 503, then as normal
    DOWN = "down"  # 503 each time
    REFUSE = "refuse"  # 422 each time
    GARBAGE = "garbage"  # accepted, but the first answer is no JSON
    WRONG_REFERENCE = "wrong reference"  # answers about something else


@dataclass(frozen=True, slots=True)
class Script:
    """A part to play: `first` is the status at once and `later` the one it comes to, if any, at that `pace`, with that
    many callbacks (two are the same message twice). `share` of the amount moves when a payment settles."""

    meaning: str
    first: str
    later: str | None = None
    pace: Literal["soon", "slow"] = "soon"
    callbacks: int = 1
    fault: Fault | None = None
    halved: bool = False


IDENTITY_DEFAULT = Script("Approved at once.", "approved")
IDENTITY: Mapping[str, Script] = {
    "SBX-REJECT": Script("Rejected at once.", "rejected"),
    "SBX-REVIEW": Script("The provider cannot tell: `review` at once, a human of ours decides.", "review"),
    "SBX-CALLBACK": Script("`processing`, then approved, told by callback.", "processing", "approved"),
    "SBX-CALLBACK-REJECT": Script("`processing`, then rejected, told by callback.", "processing", "rejected"),
    "SBX-DUPLICATE": Script("As SBX-CALLBACK, the callback comes twice.", "processing", "approved", callbacks=2),
    "SBX-NO-CALLBACK": Script(
        "`processing`, then approved, told only to those who ask.", "processing", "approved", callbacks=0
    ),
    "SBX-SLOW": Script("As SBX-CALLBACK, after the slow delay.", "processing", "approved", "slow"),
    "SBX-SILENT": Script("`processing` for ever.", "processing"),
    "SBX-TIMEOUT": Script("Never answers and knows nothing of it afterwards, each time.", "approved", fault=Fault.HANG),
    "SBX-TIMEOUT-AFTER": Script(
        "Approves, but the answer never comes; asked again, it does.", "approved", fault=Fault.HANG_ACCEPTED
    ),
    "SBX-FAIL-TWICE": Script("503 twice, then approved.", "approved", fault=Fault.FAIL_TWICE),
    "SBX-DOWN": Script("503 each time.", "approved", fault=Fault.DOWN),
    "SBX-REFUSE": Script("422 each time: a request that it will never take.", "approved", fault=Fault.REFUSE),
    "SBX-GARBAGE": Script("Approves, but the answer is no JSON; asked again, it is.", "approved", fault=Fault.GARBAGE),
    "SBX-WRONG-REFERENCE": Script("Approves a check that nobody asked for.", "approved", fault=Fault.WRONG_REFERENCE),
}

BANK_DEFAULT = Script(
    "`processing`, then settled within a fraction of a second, told by callback.", "processing", "settled"
)
BANK: Mapping[str, Script] = {
    "SBX-SETTLE": Script("Settled at once, in the answer; no callback.", "settled", callbacks=0),
    "SBX-REJECT": Script("Rejected at once, in the answer; no callback.", "rejected", callbacks=0),
    "SBX-CALLBACK-REJECT": Script("`processing`, then rejected, told by callback.", "processing", "rejected"),
    "SBX-DUPLICATE": Script(
        "As without a magic value, the callback comes twice.", "processing", "settled", callbacks=2
    ),
    "SBX-NO-CALLBACK": Script(
        "`processing`, then settled, told only to those who ask.", "processing", "settled", callbacks=0
    ),
    "SBX-SLOW": Script("Settled after the slow delay, told by callback.", "processing", "settled", "slow"),
    "SBX-MANUAL": Script("`processing` until somebody decides it at the control endpoint.", "processing"),
    "SBX-SILENT": Script("`processing` for ever.", "processing"),
    "SBX-TIMEOUT": Script(
        "Never answers and knows nothing of it afterwards, each time.", "processing", "settled", fault=Fault.HANG
    ),
    "SBX-TIMEOUT-AFTER": Script(
        "Accepts (and settles later), but the answer never comes; asked again, it does.",
        "processing",
        "settled",
        fault=Fault.HANG_ACCEPTED,
    ),
    "SBX-FAIL-TWICE": Script("503 twice, then as normal.", "processing", "settled", fault=Fault.FAIL_TWICE),
    "SBX-DOWN": Script("503 each time.", "processing", fault=Fault.DOWN),
    "SBX-REFUSE": Script("422 each time: a request that it will never take.", "processing", fault=Fault.REFUSE),
    "SBX-GARBAGE": Script(
        "Accepts (and settles later), but the answer is no JSON; asked again, it is.",
        "processing",
        "settled",
        fault=Fault.GARBAGE,
    ),
    "SBX-WRONG-REFERENCE": Script(
        "Says that it settled another payment; no money moves.", "settled", callbacks=0, fault=Fault.WRONG_REFERENCE
    ),
    "SBX-SHORT": Script(
        "Settles half of the amount, and says so: money in another amount.", "processing", "settled", halved=True
    ),
}

_WORD = re.compile(r"\bSBX(?:-[A-Z]+)+\b")


def find(scripts: Mapping[str, Script], default: Script, texts: Iterable[str]) -> Script:
    """The script that the first magic value in `texts` asks for, or the default."""
    words = (word for text in texts for word in _WORD.findall(text))
    return next((scripts[word] for word in words if word in scripts), default)
