"""What a profile must be before anybody is asked to check it."""

import unicodedata
from dataclasses import asdict, dataclass, fields
from datetime import date
from functools import cache
from typing import Final

import pycountry

from accounts.models import ProfileVersion
from wallet_project.utils.errors import InvalidInput
from wallet_project.utils.model_fields import longest_text

#: The age, in whole years, from which a person may hold an account on his own.
ADULT_AGE: Final = 18
# Nobody has been proven to live longer than 122 years.
OLDEST_AGE: Final = 125

_HIDING: Final = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_JOINERS: Final = ("\u200c", "\u200d")

DOCUMENT_TYPES: Final = ("passport", "id_card", "driving_licence", "residence_permit")


class ProfileInvalid(InvalidInput):
    code = "profile_invalid"
    message = "The profile is not one that can be checked; see `errors`."


@dataclass(frozen=True, slots=True)
class Profile:
    """What a customer says about himself: one line of text each, `country` in ISO 3166-1 alpha-2."""

    first_name: str
    last_name: str
    date_of_birth: date
    country: str
    address: str
    document_type: str
    document_number: str

    def values(self) -> dict[str, object]:
        return asdict(self)


def profile_of(version: ProfileVersion) -> Profile:
    return Profile(**{field.name: getattr(version, field.name) for field in fields(Profile)})


def check_profile(profile: Profile, *, today: date) -> None:
    """Raises ProfileInvalid, naming each field that cannot be right."""
    faults: dict[str, str] = {}
    for name, value in profile.values().items():
        if isinstance(value, str) and (fault := _text_fault(name, value)):
            faults[name] = fault
    if profile.country not in countries():
        faults["country"] = "This is not an ISO 3166-1 alpha-2 code such as DE."
    if profile.document_type not in DOCUMENT_TYPES:
        faults["document_type"] = f"One of: {', '.join(DOCUMENT_TYPES)}."
    age = age_in_years(profile.date_of_birth, today=today)
    if age < 0 or age > OLDEST_AGE:
        faults["date_of_birth"] = "Nobody alive was born on this day."
    elif age < ADULT_AGE:
        faults["date_of_birth"] = f"You must be at least {ADULT_AGE} years old."
    if faults:
        raise ProfileInvalid(fields=faults)


def age_in_years(born: date, *, today: date) -> int:
    """Whole years; who was born on a 29 February has his birthday on 1 March in common years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


@cache
def countries() -> frozenset[str]:
    """The assigned codes of ISO 3166-1 alpha-2."""
    return frozenset(country.alpha_2 for country in pycountry.countries)


def _text_fault(name: str, text: str) -> str | None:
    longest = longest_text(ProfileVersion, name)
    if not text.strip():
        return "This may not be empty."
    if len(text) > longest:
        return f"This has more than {longest} characters."
    return "This has a character that cannot be shown." if any(map(_hides_something, text)) else None


def _hides_something(character: str) -> bool:
    """Controls (NUL among them), half a surrogate pair, line breaks, and marks that turn the direction of writing: an
    officer must read what is there. The two joiners are part of how Persian and the Indic scripts are written."""
    return unicodedata.category(character) in _HIDING and character not in _JOINERS
