"""How often and how much: the timing of a batch app."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds, and records per poll. The defaults suit production; tests shorten them."""

    #: Between two calls of `tick`, also on silent topics.
    tick_interval: float = 0.25
    #: The longest wait for records; a tick that is due sooner shortens it.
    poll_timeout: float = 0.1
    #: Where few records come, the broker gathers them for so long: each fetch, and each batch that comes of
    #: it, is work for everybody.
    gather: float = 0.02
    #: Records that one call of `process` gets at the most.
    poll_records: int = 5_000
    #: The group gives away the partitions of a member that was silent for so long.
    session_timeout: float = 6.0
    #: Between two signs of life; also what a rebalance waits for, until the last member has heard of it.
    heartbeat_interval: float = 0.5
    #: What is in flight gets so long to finish before partitions are given away; then it's dropped.
    rebalance_within: float = 15.0
    #: What is in flight gets so long to finish at a stop; then it's dropped.
    stop_within: float = 5.0
    #: An event loop that stands still for so long is taken for hung: the process ends, to be started again.
    stuck_after: float = 120.0
    #: Records that a producer's open transaction holds back for so long are mentioned in the log.
    held_back: float = 30.0
    #: One request to the broker; it is tried again until `broker_away` is over.
    request_timeout: float = 30.0
    #: A broker that is away for less is waited for; then the worker stops, to be started again.
    broker_away: float = 300.0


__all__ = ["Timing"]
