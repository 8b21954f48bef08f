"""`python -m tools.vendored`: the vendored scripts are what `vendor.json` and the lock file say; needs no
node.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
FOLDER = _ROOT / "upshot" / "web" / "static" / "vendor"
LOCK = _ROOT / "web-assets" / "package-lock.json"


def faults(folder: Path, lock: Path) -> list[str]:
    """What differs; empty where all is as it should be."""
    described = json.loads((folder / "vendor.json").read_text(encoding="utf-8"))
    found = [f"{name}: not in vendor.json" for name in _others(folder, described)]
    for name, digest in described["files"].items():
        file = folder / name
        if not file.is_file() or sha256(file.read_bytes()).hexdigest() != digest:
            found.append(f"{name}: its bytes aren't those of vendor.json")
    locked = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    for package in described["packages"]:
        entry = locked.get(f"node_modules/{package['name']}", {})
        if (entry.get("version"), entry.get("integrity")) != (package["version"], package["integrity"]):
            found.append(f"{package['name']} {package['version']}: not what the lock file has")
    return found


def _others(folder: Path, described: dict[str, Any]) -> list[str]:
    return sorted({path.name for path in folder.iterdir()} - described["files"].keys() - {"vendor.json"})


def main() -> int:
    """The command: 0 where nothing differs."""
    found = faults(FOLDER, LOCK)
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print("write them anew:  make assets", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
