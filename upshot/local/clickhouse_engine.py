"""The ClickHouse server inside chdb-core, as a process: it serves until its stdin ends.

    clickhouse_engine.py EXTENSION DATA      in a folder with a `config.xml`

The extension file holds the whole clickhouse-local application, which can open the real HTTP and native
listeners. `import chdb` would not do: that starts another, listenerless mode. The entry is not documented;
`docs/decisions/0001-embedded-parts.md` says what that means.

Started as a file and with the standard library alone, so that it meets nobody else's modules.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
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


def refuse(path: str) -> str:
    raise PermissionError("the function file() is switched off")


def main(extension: str, data: str) -> int:
    try:
        engine = load(extension)
        # The *function* file() knows no grants outside a full server: the read-only user could read the disk.
        engine.create_function("file", refuse, ["String"], "String")
        engine.query(SERVE, "TabSeparated", path=data)
    except (AttributeError, ImportError, OSError, RuntimeError, TypeError) as error:
        sys.stderr.write(f"the engine could not serve: {error}\n")
        return 1
    return 0


__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
