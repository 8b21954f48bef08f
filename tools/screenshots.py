"""`python -m tools.screenshots [FOLDER]` takes the docs' pictures from a running stack with the demo's data.

Needs Debian's Chromium (`apt-get install chromium`). Writes FOLDER/<page>.png; FOLDER is `docs/images`.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

#: File name, path on the web server, and the window in pixels.
PAGES = (
    ("experiment", "/experiments/reply-tone", (1400, 1130)),
    ("home", "/", (1400, 1000)),
    ("runs", "/runs", (1400, 1000)),
)
#: The line of a demo whose result is stored and compared.
_DONE = ("matches the play:", "matches the file:")
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: Seconds that the demo, a page and the end of the stack may take.
_DEMO, _PAGE, _END = 300.0, 60.0, 60.0


def main(folder: Path) -> int:
    """The command; 0 where every picture was taken."""
    browser = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if browser is None:
        print("no Chromium here: apt-get install chromium", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="upshot-pictures-") as data:
        command = [sys.executable, "-m", "upshot.cli", "demo", "--experiment", "--keep", "--data-dir", data]
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            port = _web_port(demo, Path(data))
            _settled(port)
            for name, path, size in PAGES:
                _take(browser, f"http://127.0.0.1:{port}{path}", folder / f"{name}.png", size)
                print(folder / f"{name}.png")
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(_END)
    return 0


def _web_port(demo: subprocess.Popen[str], data: Path) -> int:
    """The port of the web server, once the demo has compared its result with the file."""
    assert demo.stdout is not None
    give_up = time.monotonic() + _DEMO
    for line in demo.stdout:
        if line.startswith(_DONE):
            return int(json.loads((data / "ports.json").read_text())["web"])
        if time.monotonic() > give_up:
            break
    raise SystemExit("the demo did not come to its result; run  upshot demo --keep  and look")


def _settled(port: int) -> None:
    """Return once no worker has a record left to read: the demo's last records are a second old."""
    give_up = time.monotonic() + _PAGE
    while time.monotonic() < give_up:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=_PAGE) as page:
            parts = json.load(page)["parts"].values()
        if not any("records behind" in part["detail"] for part in parts):
            return
        time.sleep(1)
    raise SystemExit("workers are still behind a minute after the demo; run  upshot doctor  and look")


def _take(browser: str, url: str, file: Path, size: tuple[int, int]) -> None:
    with tempfile.TemporaryDirectory(prefix="upshot-browser-") as profile:
        window = f"--window-size={size[0]},{size[1]}"
        subprocess.run(
            [browser, *_FLAGS, f"--user-data-dir={profile}", window, f"--screenshot={file}", url],
            check=True,
            capture_output=True,
            timeout=_PAGE,
        )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")))
