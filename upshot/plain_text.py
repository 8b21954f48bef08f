"""Text of events and other programs, made harmless for eyes.

Nothing steers a terminal, nothing hides or turns text.
"""

from __future__ import annotations

#: Printable by name, and yet nothing that eyes could see: fillers, joiners, and the selectors that can carry
#: a message.
_UNSEEN = frozenset(
    chr(code)
    for codes in (
        (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        range(0x180B, 0x1810),
        range(0xE0100, 0xE01F0),
    )
    for code in codes
)


def plain(text: str, keep: str = "") -> str:
    """The text with control, format, bidirectional and invisible characters escaped, except `keep`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character in keep or is_plain(character) else _escaped(character) for character in text
    )


def plain_json(text: str) -> str:
    """JSON of the same value; line breaks between its values stay."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(
        character if character == "\n" or is_plain(character) else _escaped_in_json(character)
        for character in text
    )


def is_plain(character: str) -> bool:
    """Whether the character shows as itself and does nothing else."""
    return character.isprintable() and character not in _UNSEEN


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _escaped_in_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


__all__ = ["is_plain", "plain", "plain_json"]
