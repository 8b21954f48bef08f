"""The worker role `correlate` as `upshot worker` runs it; it also tells when its first records came."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from place import Moment, place

from upshot.cli import main
from upshot.processors.join import Join
from upshot.streams.batch import TP, Effects
from upshot.streams.codec import Record

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
