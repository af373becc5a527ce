"""Splits texts into the words that a search compares."""

import re
import unicodedata

# Letters and digits. PostgreSQL's own parser splits elsewhere: it takes `red/white` for a path.
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of a text, without case and accents: `Crème-brûlée, 2 PCS` is `creme brulee 2 pcs`."""
    unaccented = "".join(filter(_is_base_character, unicodedata.normalize("NFKD", text.casefold())))
    return _WORD.findall(unaccented)


def _is_base_character(character: str) -> bool:
    return not unicodedata.combining(character)
