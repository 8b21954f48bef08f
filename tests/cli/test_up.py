"""Starting and ending: `up` and `worker` as processes, with all that they start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upshot_process import (
    LOOK,
    START,
    STARTED,
    WholeStack,
    begin,
    clean_environment,
    descendants,
    gone,
    start,
    upshot,
    whole_stack,
)
from upshot.insights.reader import Reader
from upshot.processors.roles import ALWAYS as ROLES

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """A test that fails in the middle must not leave what it started in the way of the next."""
    before = len(STARTED)
    yield
    for running in STARTED[before:]:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def test_a_command_ends_with_the_killed_tests_that_started_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.upshot_process import begin\n"
        f"begin(Path({str(tmp_path)!r}), 'worker', '--role', 'correlate', environment={{'UPSHOT_KAFKA_URL': "
        "'127.0.0.1:1'}).wait_said('no Kafka broker answers'); print('begun', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as tests:
        assert tests.stdout is not None and tests.stdout.readline() == b"begun\n"
        started = descendants(tests.pid)
        tests.kill()
    assert started and gone(started)


def test_ctrl_c_ends_every_child_and_the_data_stays(tmp_path: Path) -> None:
    first = start(tmp_path / "data", "up")
    stack = whole_stack(first)
    children = descendants(first.process.pid)
    assert len(children) >= 3 + len(ROLES), "Kafka, ClickHouse, the roles and the web page"
    sent = stack.upshot("emit", "runs", text='{"run_id":"kept","agent":"a"}')
    assert sent.returncode == 0, sent.stderr
    stack.eventually("SELECT run_id FROM runs", [{"run_id": "kept"}])
    assert first.interrupt() == 0, first.metadata.read_text()
    assert gone(children)
    assert not (tmp_path / "data" / "ports.json").exists()
    assert "Traceback" not in first.metadata.read_text()

    second = start(tmp_path / "data", "up")
    again = whole_stack(second)
    try:
        assert again.ports == stack.ports
        assert again.query("SELECT run_id FROM runs") == [{"run_id": "kept"}]
        other = upshot("up", "--data-dir", str(tmp_path / "data"), "--kafka-port", "0", within=START)
        assert other.returncode == 69
        assert "already runs in" in other.stderr
    finally:
        assert second.interrupt(signal.SIGTERM) == 0, second.metadata.read_text()


def test_ctrl_c_while_it_starts(tmp_path: Path) -> None:
    running = start(tmp_path / "data", "up")
    running.wait_said("kafka: starting")
    children = descendants(running.process.pid)
    assert running.interrupt() in (0, 130), running.metadata.read_text()
    assert gone(children)
    assert "Traceback" not in running.metadata.read_text()


@pytest.mark.parametrize("name", ["kafka", "clickhouse", "web"])
def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path, taken_port: int, name: str) -> None:
    ports = {"kafka": "0", "clickhouse": "0", "web": "0"} | {name: str(taken_port)}
    options = [text for part, port in ports.items() for text in (f"--{part}-port", port)]
    done = upshot("up", "--data-dir", str(tmp_path), *options)
    assert done.returncode == 69
    assert f"port {taken_port} is taken by another program; nothing was started" in done.stderr
    assert f"--{name}-port" in done.stderr
    assert "kafka: starting" not in done.stderr


def test_unknown_parts_are_refused(tmp_path: Path) -> None:
    done = upshot("up", "--with", "kafka,zookeeper", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "choose from kafka,clickhouse,worker,web" in done.stderr


def test_wrong_receivers_are_named_before_anything_starts(tmp_path: Path) -> None:
    wrong = {"UPSHOT_RECEIVERS": '{"ops": {"kind": "pigeon"}}'}
    done = upshot("up", "--data-dir", str(tmp_path), environment=wrong)
    assert done.returncode == 2 and "ops: is of an unknown kind: write webhook" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_worker_waits_for_its_parts_and_ends_when_told(tmp_path: Path) -> None:
    nowhere = {"UPSHOT_KAFKA_URL": "127.0.0.1:1", "UPSHOT_CLICKHOUSE_URL": "http://127.0.0.1:1"}
    running = start(tmp_path / "data", "worker", environment=nowhere)
    running.wait_said("correlate waits: no Kafka broker answers at 127.0.0.1:1")
    running.wait_said("store waits: no Kafka broker answers at 127.0.0.1:1", times=2)
    children = descendants(running.process.pid)
    assert len(children) == len(ROLES)
    assert running.interrupt() == 0, running.metadata.read_text()
    assert gone(children)
    assert "Traceback" not in running.metadata.read_text()


def test_a_role_that_dies_is_started_again_and_none_outlives_the_worker(
    stack: WholeStack, tmp_path: Path
) -> None:
    where = {
        "UPSHOT_KAFKA_URL": stack.settings.kafka_url,
        "UPSHOT_CLICKHOUSE_URL": stack.settings.clickhouse_url.get_secret_value(),
        "UPSHOT_TOPIC_PREFIX": "dying.",
    }
    running = start(tmp_path / "data", "worker", environment=where)
    running.wait_said("created topics")
    children = descendants(running.process.pid)
    os.kill(min(children), signal.SIGKILL)
    running.wait_said("was ended by SIGKILL; it is started again")
    deadline = time.monotonic() + START
    while len(children := descendants(running.process.pid)) < len(ROLES):
        assert time.monotonic() < deadline
        time.sleep(LOOK)
    running.process.kill()
    running.process.wait()
    assert gone(children), "the roles outlive a worker that was killed"


def test_several_processes_of_the_join_share_its_partitions(stack: WholeStack, tmp_path: Path) -> None:
    where = {
        "UPSHOT_KAFKA_URL": stack.settings.kafka_url,
        "UPSHOT_TOPIC_PREFIX": f"{tmp_path.name}.",
        "UPSHOT_PARTITIONS": "3",
        "UPSHOT_WORKER_ID": "here",
    }
    running = start(tmp_path / "data", "worker", "--role", "correlate", "--processes", "2", environment=where)
    running.wait_said("correlate works on 4 partitions")
    running.wait_said("correlate works on 2 partitions")
    assert len(descendants(running.process.pid)) == 2
    assert running.interrupt() == 0, running.metadata.read_text()


def test_only_the_join_is_shared_among_processes(tmp_path: Path) -> None:
    done = upshot("worker", "--role", "store", "--processes", "2", "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "only the join is shared among processes" in done.stderr


def test_ctrl_c_ends_a_query_without_a_trace(stack: WholeStack, tmp_path: Path) -> None:
    long = "SELECT sleepEachRow(1), 'interrupted' FROM numbers(100) SETTINGS max_block_size = 1"
    running = begin(tmp_path, "query", "--format", "csv", long, "--data-dir", str(stack.data_dir))
    reader = Reader(stack.settings)
    under_way = (
        "SELECT count() FROM system.processes WHERE user = 'viewer' AND query LIKE 'SELECT sleepEachRow%'"
    )
    deadline = time.monotonic() + START
    while int(reader.query(under_way).rows[0][0]) == 0:
        assert running.process.poll() is None, running.metadata.read_text()
        assert time.monotonic() < deadline
        time.sleep(LOOK)
    assert running.interrupt() == 130
    assert "Traceback" not in running.metadata.read_text()


def test_wrong_settings_end_a_worker_for_good(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "upshot.cli", "worker"],
        env=clean_environment() | {"UPSHOT_PARTITIONS": "none", "UPSHOT_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=START,
    )
    assert done.returncode == 2
    assert "UPSHOT_PARTITIONS" in done.stderr
