"""Names come from hardware, files and pastes: characters that a terminal would act on are made visible."""

import re

_ACTIVE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with control characters, direction marks and lone surrogates as escapes such as ``\\x1b``."""
    return _ACTIVE.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)
