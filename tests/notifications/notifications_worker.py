"""The role of notifications as a process of its own.

Arguments: the broker, the prefix of topics, the data folder, and the receivers as JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import SecretStr

from upshot.processors.notifications.app import notifications_app
from upshot.settings import Settings
from upshot.streams.runtime.runner import main

if __name__ == "__main__":
    broker, prefix, folder, receivers = sys.argv[1:]
    settings = Settings(
        kafka_url=broker,
        topic_prefix=prefix,
        data_dir=Path(folder),
        commit_interval=0.2,
        # By its name it takes up its partitions at once when it's back, however slow the machine.
        worker_id="killable",
        session_timeout=60.0,
        receivers=SecretStr(receivers),
        receiver_allow="127.0.0.0/8",
    )
    main(lambda: notifications_app(settings))
