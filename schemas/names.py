"""Names: what something is called at a provider, whose id stays when the name changes."""

from __future__ import annotations

from pydantic import Field

from upshot.schemas.fields import Event, Id


class NameOwner(Event):
    """Something had this name when a webhook told of it last, or until it was renamed.

    The latest record of a name tells whose it is; a thing has all names that are its own by their latest records.
    """

    name: Id = Field(description="The name, such as `github:acme/web`; the record's key.")
    id: Id = Field(description="What has it, by the provider's own id, such as `github:repository:7`.")


__all__ = ["NameOwner"]
