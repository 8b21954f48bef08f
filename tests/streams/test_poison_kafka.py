"""A poison record among others on a real broker: workers that it ends as processes, one after the other."""

from __future__ import annotations

import json
import signal
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.stack

KEYS = 50


async def all_committed(bench: Any, group: str, source: str) -> bool:
    return bool(await bench.committed(group, source) == await bench.ends(source))


@pytest.mark.parametrize("poison", [b"kill", b"no number"])
async def test_a_record_that_ends_the_worker_is_set_aside_and_the_others_go_on(
    bench: Any, until: Any, tmp_path: Path, poison: bytes
) -> None:
    source, out = await bench.topic("in", 2), await bench.topic("out", 2)
    await bench.shared_topic("upshot.dead-letters")
    group, log = bench.name("tally"), tmp_path / "worker.log"
    numbered = [(key % 2, b"key%d" % key, b"%d" % n) for n in range(20) for key in range(KEYS)]
    await bench.fill(source, [*numbered[:300], (1, b"bad", poison), *numbered[300:]])

    def start() -> subprocess.Popen[bytes]:
        worker: subprocess.Popen[bytes] = bench.spawn(group, source, out, "500", "one", log=log)
        return worker

    worker, started = start(), 1

    async def is_done() -> bool:
        nonlocal worker, started
        if worker.poll() is not None:
            assert started < 12, log.read_text()
            worker, started = start(), started + 1
        return await all_committed(bench, group, source)

    try:
        await until(is_done, 240.0)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        worker.wait()
    everything = [json.loads(record.value) for record in await bench.read("upshot.dead-letters")]
    letters = [letter for letter in everything if letter["topic"] == source]
    assert [(letter["reason"], letter["partition"]) for letter in letters] == [("poison_record", 1)]
    assert b64decode(letters[0]["value"]) == poison and b64decode(letters[0]["key"]) == b"bad"
    said = {(record.key, record.value) for record in await bench.read(out)}
    assert said == {
        (b"key%d" % key, b"%d:%d" % (n, n * (n + 1) // 2)) for n in range(20) for key in range(KEYS)
    }
    assert f"{source}/1" in log.read_text() and "set aside to the dead letters" in log.read_text()
