"""Find words in a text, however their characters are escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterator, Sequence

from airflow_provider_predictions.api.limits import MAX_ESCAPE_LAYERS

# One character, escaped once or repeatedly: as in a URL, in JSON or Python, and in HTML. Each repetition has
# a bound or cannot fail, so that the time grows with the text.
_ESCAPED = re.compile(
    rb"%(?:25)*(?P<byte>[0-9a-f]{2})"
    rb"|\\+u(?P<high>d[89ab][0-9a-f]{2})\\+u(?P<low>d[c-f][0-9a-f]{2})"
    rb"|\\+u(?P<unit>[0-9a-f]{4})"
    rb"|\\+x(?P<code>[0-9a-f]{2})"
    rb"|\\+(?P<letter>.?)"
    rb"|&(?:amp;)*(?P<entity>#[0-9]{1,9}|#x[0-9a-f]{1,9}|[a-z][a-z0-9]{1,30});",
    re.IGNORECASE | re.DOTALL,
)
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def hide(text: str, words: Collection[str]) -> str:
    """Replace each word by ``***``. Its characters may be escaped as in a URL, in JSON, Python or HTML.

    The rest of the text stays as it is.
    """
    given = _bytes(text)
    found, places = _unescaped(given)
    spans = sorted(
        (_boundary(given, places[at], -1), _boundary(given, places[at + len(plain)], 1))
        for plain in {_unescaped(_bytes(word))[0] for word in words}
        for at in _places(found, plain)
    )
    pieces, end = [], 0
    for start, stop in spans:
        if start >= end:
            pieces += [given[end:start], b"***"]
        end = max(end, stop)
    return b"".join([*pieces, given[end:]]).decode("utf-8", "surrogatepass")


def _boundary(text: bytes, place: int, step: int) -> int:
    """The next place that is not within a character of UTF-8."""
    while text[place : place + 1] and text[place] & 0xC0 == 0x80:
        place += step
    return place


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _places(text: bytes, word: bytes) -> Iterator[int]:
    at = text.find(word) if word else -1
    while at >= 0:
        yield at
        at = text.find(word, at + len(word))


def _unescaped(given: bytes) -> tuple[bytes, Sequence[int]]:
    """The text without escapes, and for each of its bytes, and its end, the place in the given text.

    A word that holds what looks like an escape changes in the same way as the text that holds the word.
    """
    text = given
    places: Sequence[int] = range(len(given) + 1)
    for _ in range(MAX_ESCAPE_LAYERS):
        if not _ESCAPED.search(text):
            break
        text, places = _without_a_layer(text, places)
    # A form writes a space as a plus.
    return text.replace(b"+", b" "), places


def _without_a_layer(text: bytes, places: Sequence[int]) -> tuple[bytes, list[int]]:
    plain, plain_places, end = bytearray(), list[int](), 0
    for escape in _ESCAPED.finditer(text):
        start, letter = escape.start(), _meaning(escape)
        plain += text[end:start] + letter
        plain_places += places[end:start]
        plain_places += [places[start]] * len(letter)
        end = escape.end()
    return bytes(plain + text[end:]), [*plain_places, *places[end:]]


def _meaning(escape: re.Match[bytes]) -> bytes:
    kind, found = escape.lastgroup, escape[escape.lastgroup or 0]
    if kind in ("byte", "code"):
        byte = bytes.fromhex(found.decode())
        return byte if kind == "byte" else _bytes(byte.decode("latin-1"))
    if kind in ("low", "unit"):
        code = (escape["high"] or b"") + found
        return _bytes(bytes.fromhex(code.decode()).decode("utf-16-be", "surrogatepass"))
    if kind == "letter":
        return _CONTROLS.get(found, found)
    return _bytes(html.unescape(f"&{found.decode()};"))
