"""Finding the parts of an outcome in a message: by a text with paths in braces, by a path, by a function."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from jmespath.exceptions import JMESPathError

from upshot.errors import ConfigurationError
from upshot.schemas.expressions import compiled
from upshot.sources.message import Message

#: Finds a part in a message; None where absent.
Find = Callable[[Message], Any]

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


def text_by(part: str, found: str | Find) -> Find:
    """A text such as `pr:{repository.full_name}#{number}`, or a function.

    The text in braces is a JMESPath expression over the message's value; where an expression finds nothing,
    the result is nothing. Raises ConfigurationError for an invalid expression.
    """
    if callable(found):
        return found
    searches = {path: path_by(part, path) for path in _PLACEHOLDER.findall(found)}

    def filled(message: Message) -> str | None:
        stated = {path: search(message) for path, search in searches.items()}
        if any(value is None for value in stated.values()):
            return None
        return _PLACEHOLDER.sub(lambda match: _plain(part, match[1], stated[match[1]]), found)

    return filled


def _plain(part: str, path: str, value: Any) -> str:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise ValueError(f"{part}: {path} gives {type(value).__name__}, where a text or a whole number belongs")


def path_by(part: str, path: str) -> Find:
    """The value found by a JMESPath expression in the message's value. Raises ConfigurationError."""
    try:
        expression = compiled(path)
    except JMESPathError as error:
        raise ConfigurationError(f"{part}={path!r} is no JMESPath expression: {error}") from None
    return lambda message: expression.copy(message.value)


def value_by(part: str, found: str | Mapping[str, str | Find] | Find | None) -> Find:
    """A path, a function, a mapping of names to these, or None for the message's value."""
    if found is None:
        return lambda message: message.value
    if isinstance(found, str):
        return path_by(part, found)
    if callable(found):
        return found
    fields = {name: value_by(f"{part}[{name!r}]", inner) for name, inner in found.items()}
    return lambda message: {name: find(message) for name, find in fields.items()}


def condition_by(found: str | Find | None) -> Callable[[Message], bool]:
    """Whether a function gives something true, or a path gives true; always where there is no condition."""
    if found is None:
        return lambda message: True
    if isinstance(found, str):
        search = path_by("when", found)
        return lambda message: search(message) is True
    ask = found
    return lambda message: bool(ask(message))


__all__ = ["Find", "condition_by", "path_by", "text_by", "value_by"]
