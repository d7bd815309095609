"""Telephone numbers: what can be one, and how it is written. Every country's plan is read at the start."""

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat

# The library reads a country's plan from its files when it is first asked for, under a lock that it does not
# give back when that fails: one moment without a file handle, and every later letter would wait for ever.
PhoneMetadata.load_all()


def read_number(text: str, country: str | None = None) -> PhoneNumber | None:
    """Return what stands there as a possible number, or None. Without a `country` only "+1 …" says whose it is."""
    try:
        found = phonenumbers.parse(text, country)
    except NumberParseException:
        return None
    return found if phonenumbers.is_possible_number(found) else None


def for_reading(number_e164: str) -> str:
    """Return "+1 218-555-0110". Raises NumberParseException for what was never checked."""
    return phonenumbers.format_number(phonenumbers.parse(number_e164, None), PhoneNumberFormat.INTERNATIONAL)


def for_record(number: PhoneNumber) -> str:
    """Return "+12185550110"."""
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
