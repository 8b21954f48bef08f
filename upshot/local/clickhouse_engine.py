"""The ClickHouse server inside chdb-core, as a process: the server runs until its stdin ends.

    clickhouse_engine.py EXTENSION DATA CONFINEMENT PORT...      in a folder with a `config.xml`

`CONFINEMENT` is the file of `confinement.py`: where the kernel can confine a process, no query leads the
engine beyond its folder and its ports.

The extension file holds the whole clickhouse-local application, which can open the real HTTP and native
listeners. `import chdb` would not do: the import starts another, listenerless mode. The entry is not
documented; `docs/decisions/0001-embedded-parts.md` has the consequences.

Started as a file and with the standard library alone, so the process meets no foreign modules.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from types import ModuleType

SERVE = """\
CREATE DATABASE IF NOT EXISTS upshot;
SYSTEM START LISTEN HTTP;
SYSTEM START LISTEN TCP;
SELECT * FROM file('-', 'LineAsString', 'line String') FORMAT Null
"""


def load(extension: str) -> ModuleType:
    """The extension module, without the package around it."""
    loader = importlib.machinery.ExtensionFileLoader("_chdb", extension)
    spec = importlib.util.spec_from_file_location("_chdb", extension, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


#: Read beside the engine's own folder: libraries, time zones and facts about the machine.
READ = (
    *("/usr", "/lib", "/lib64", "/nix/store", "/proc", "/sys"),
    *("/etc/localtime", "/etc/timezone", "/etc/ld.so.cache"),
    *("/dev/urandom", "/dev/random"),
)


def confine(confinement: str, extension: str, data: str, ports: list[int]) -> None:
    """Call before the first query: threads already running would stay free."""
    spec = importlib.util.spec_from_file_location("confinement", confinement)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    packages = os.path.dirname(os.path.dirname(extension))
    if why := module.confine([*READ, sys.base_prefix, packages], [os.getcwd(), data, "/dev/null"], ports):
        sys.stderr.write(f"the engine is not confined to its folder: {why}\n")


def refuse(path: str) -> str:
    raise PermissionError("the function file() is switched off")


def main(extension: str, data: str, confinement: str, *ports: str) -> int:
    try:
        engine = load(extension)
        # The *function* file() knows no grants outside a full server: the read-only user could read the disk.
        engine.create_function("file", refuse, ["String"], "String")
        confine(confinement, extension, data, [int(port) for port in ports])
        engine.query(SERVE, "TabSeparated", path=data)
    except (AttributeError, ImportError, OSError, RuntimeError, TypeError) as error:
        sys.stderr.write(f"the engine could not serve: {error}\n")
        return 1
    return 0


__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
