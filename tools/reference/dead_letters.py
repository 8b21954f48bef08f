"""The page on why events are refused."""

from __future__ import annotations

from pathlib import Path

from tools.reference.markdown import page, table
from upshot.schemas.dead_letters import MEANINGS

_EXAMPLES = "../../schemas/examples"

_INTRO = """Unusable records are never dropped: they go to the topic `dead-letters` and the table
`dead_letters`, with one of these reasons, a sentence naming the field, the record's place and its original
bytes. `upshot emit` checks the same before sending. The codes are stable: a program may rely on them."""


def reasons_page(examples: Path) -> str:
    """The page; `examples` is the folder of the examples."""
    rows = [(f"`{reason}`", meaning, _links(reason, examples)) for reason, meaning in MEANINGS.items()]
    return page(
        "Dead-letter reasons", _INTRO, table(("reason", "what it means, what to do", "examples"), rows)
    )


def _links(reason: str, examples: Path) -> str:
    found = sorted(examples.glob(f"*/refused/{reason}--*.json"))
    return ", ".join(
        f"[{path.stem.partition('--')[2]}]({_EXAMPLES}/{path.relative_to(examples).as_posix()})"
        for path in found
    )


__all__ = ["reasons_page"]
