"""Words: what is left of a text for a search."""

import re
import unicodedata


def words(text: str) -> list[str]:
    """The text's words, without case and accents: `Crème-brûlée, 2 PCS` is `creme brulee 2 pcs`."""
    unaccented = "".join(filter(_is_no_accent, unicodedata.normalize("NFKD", text.casefold())))
    return _WORD.findall(unaccented)


# Letters and digits. PostgreSQL would cut words at other places: `red/white` is a path to it.
_WORD = re.compile(r"[^\W_]+")


def _is_no_accent(character: str) -> bool:
    return not unicodedata.combining(character)
