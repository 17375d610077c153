"""IBANs (ISO 13616). Whether an account stands behind one, only its bank knows."""

from schwifty import IBAN
from schwifty.exceptions import SchwiftyException

from wallet_project.utils.errors import InvalidInput

NOT_AN_IBAN = "This is not an IBAN; look at its digits again."


class IbanInvalid(InvalidInput):
    code = "iban_invalid"
    message = NOT_AN_IBAN


def normalised_iban(text: str) -> str:
    """Capitals without spaces. Country, length, form and check digits are right, or IbanInvalid is raised.

    National check digits are left alone: banks that merge keep accounts which their own country's rule refuses."""
    compact = text.replace(" ", "")
    # Before `upper`, which makes ASCII of letters that are none, such as U+017F; and schwifty drops any white space.
    if not (compact.isascii() and compact.isalnum()):
        raise IbanInvalid(fields={"iban": NOT_AN_IBAN})
    try:
        return str(IBAN(compact.upper()))
    except SchwiftyException:
        raise IbanInvalid(fields={"iban": NOT_AN_IBAN}) from None
