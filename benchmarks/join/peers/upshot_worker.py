"""The worker role `correlate` as `upshot worker` runs it; it also tells when its first records came.

With a fourth argument so many processes, as `--processes` starts them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from place import Moment, place

from upshot.cli import main
from upshot.local.roles import SUPERVISED
from upshot.processors.correlate.handler import Join
from upshot.streams.events.records import Record
from upshot.streams.runtime import TP, Effects

if len(sys.argv) > 4:
    # Each ends with its stdin, and so with this process.
    workers = [
        subprocess.Popen(
            [sys.executable, *sys.argv[:4]], stdin=subprocess.PIPE, env=os.environ | {SUPERVISED: "1"}
        )
        for _ in range(int(sys.argv[4]))
    ]
    while all(worker.poll() is None for worker in workers):
        time.sleep(0.1)
    sys.exit("a process ended")

here = place()
first = Moment(here.folder, "first")
process = Join.process


async def watched(join: Join, batches: Mapping[TP, Sequence[Record]]) -> Effects:
    first.now()
    return await process(join, batches)


Join.process = watched  # type: ignore[method-assign]
os.environ |= {
    "UPSHOT_KAFKA_URL": here.kafka,
    "UPSHOT_TOPIC_PREFIX": f"{here.app}.",
    "UPSHOT_DATA_DIR": str(here.folder),
}
sys.argv = ["upshot", "worker", "--role", "correlate"]
main()
