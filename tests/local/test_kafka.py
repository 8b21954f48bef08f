"""The real broker keeps its promises to the stack."""

from __future__ import annotations

import json
import socket
import stat
import struct
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from upshot.errors import PartFailed
from upshot.local.kafka import MESSAGE_BYTES, KafkaServer

pytestmark = pytest.mark.stack
START = 120.0


async def create_topic(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def send(bootstrap: str, topic: str, values: list[bytes]) -> None:
    """Return once the broker acknowledged every value."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=MESSAGE_BYTES)
    try:
        await producer.start()
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read_all(bootstrap: str, topic: str) -> list[bytes]:
    """Every value from the beginning to the end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    try:
        await consumer.start()
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                values += [record.value for record in records]
        return values
    finally:
        await consumer.stop()


async def test_data_and_address_survive_a_stop_and_a_kill(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path)
    server.start()
    try:
        server.wait_ready(START)
        bootstrap = server.bootstrap
        await create_topic(bootstrap, "facts")
        await send(bootstrap, "facts", [b"before the stop"])
        server.stop()
        assert not server.alive()

        server.start()
        server.wait_ready(START)
        await send(bootstrap, "facts", [b"before the kill", b"also"])
        server.kill()
        assert not server.alive()

        server.start()
        server.wait_ready(START)
        assert server.bootstrap == bootstrap
        assert await read_all(bootstrap, "facts") == [b"before the stop", b"before the kill", b"also"]
    finally:
        server.stop()


async def test_a_message_of_nearly_16_mib_goes_through(kafka: KafkaServer) -> None:
    large = b"x" * (MESSAGE_BYTES - 4096)
    await create_topic(kafka.bootstrap, "large")
    await send(kafka.bootstrap, "large", [large])
    assert await read_all(kafka.bootstrap, "large") == [large]


async def test_topics_are_never_created_by_accident(kafka: KafkaServer) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        await admin.start()
        await admin.describe_topics(["misspelt"])
        assert "misspelt" not in await admin.list_topics()
    finally:
        await admin.close()


def test_its_data_directory_has_one_user_at_a_time(kafka: KafkaServer) -> None:
    second = KafkaServer(kafka.data_dir)
    with pytest.raises(PartFailed, match=r"kafka already runs in .*, started by process \d+"):
        second.start()
    assert kafka.alive()
    assert kafka.ready()


def test_a_taken_port_is_named(kafka: KafkaServer, tmp_path: Path) -> None:
    with pytest.raises(PartFailed, match=f"port {kafka.port} .* is taken"):
        KafkaServer(tmp_path, port=kafka.port).start()


def test_another_broker_at_the_port_is_not_taken_for_ours(kafka: KafkaServer, tmp_path: Path) -> None:
    other = KafkaServer(tmp_path, port=kafka.port)
    (tmp_path / "kafka").mkdir()
    assert kafka.ready()
    assert not other.ready()


def test_the_controller_answers_its_node_alone(kafka: KafkaServer) -> None:
    ports = json.loads((kafka.data_dir / "kafka" / "ports.json").read_text())
    # DescribeCluster, version 1, of controllers.
    body = struct.pack(">hhih", 60, 1, 7, -1) + b"\0" + struct.pack(">?b", False, 2) + b"\0"
    with socket.create_connection(("127.0.0.1", ports["controller"]), timeout=60) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        assert connection.recv(4) == b""
    assert kafka.ready()


def test_what_the_broker_keeps_is_its_owners(kafka: KafkaServer) -> None:
    home = kafka.data_dir / "kafka"
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (home, *home.rglob("*"))}
    assert len(found) > 10
    assert not [str(path) for path, mode in found.items() if mode & 0o077]
    environment = Path(f"/proc/{kafka.pid}/environ")
    if environment.exists():
        assert b"UPSHOT_" not in environment.read_bytes()
