"""The page on settings."""

from __future__ import annotations

from pydantic import SecretStr, TypeAdapter

from tools.reference.markdown import page, table
from tools.reference.words import Schema, fields_of, in_words
from upshot.settings import Settings

_INTRO = """Everything is set by environment variables; there is no configuration file. The variables are
read once, at the start. Of several sources the first counts: `--data-dir D` of a stack running in `D`, the
variable, the stack running in the default data directory, the default. A wrong value stops the start with a
message naming the variable. Durations are ISO 8601 (`P30D`, `PT1S`) or seconds."""


def settings_page() -> str:
    """The page."""
    rows = [
        (f"`UPSHOT_{name.upper()}`", in_words(schema), _default(name, schema), schema.get("description", ""))
        for name, schema in fields_of(Settings).items()
    ]
    return page("Settings", _INTRO, table(("variable", "type", "default", "meaning"), rows))


def _default(name: str, schema: Schema) -> str:
    default = Settings.model_fields[name].default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    shown = TypeAdapter(type(default)).dump_python(default, mode="json")
    return "" if shown in (None, "") else f"`{shown}`"


__all__ = ["settings_page"]
