"""Names: the name of a thing at a provider, whose id stays when the name changes."""

from __future__ import annotations

from pydantic import Field

from upshot.schemas.fields import Event, Id


class NameOwner(Event):
    """A thing had this name in a webhook's last report, or until it was renamed.

    The latest record of a name tells its owner; a thing has all names whose latest records name the thing.
    """

    name: Id = Field(description="The name, such as `github:acme/web`; the record's key.")
    id: Id = Field(
        description="The owner of the name, by the provider's own id, such as `github:repository:7`."
    )


__all__ = ["NameOwner"]
