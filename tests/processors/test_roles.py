"""The registry of roles, and those who name roles themselves."""

from __future__ import annotations

from typing import get_args, get_type_hints

from upshot.cli.commands.worker import worker
from upshot.processors.roles import ROLES
from upshot.streams.events.topics import TOPICS


def test_every_role_can_be_started_alone() -> None:
    choices = get_args(get_type_hints(worker)["role"])
    assert set(choices) == {"all", *ROLES}


def test_a_topic_names_the_roles_that_read_it() -> None:
    read = {(topic, role.name) for role in ROLES.values() for topic in role.reads if topic in TOPICS}
    assert read <= {(topic.name, reader) for topic in TOPICS.values() for reader in topic.consumers}
