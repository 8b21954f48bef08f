"""The containers' files, as far as they can be checked without a container engine."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.parts import running
from upshot.credentials import FILE_NAME
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.clickhouse_users import STORAGE, VIEWER_LONGEST
from upshot.local.jars import KAFKA_VERSION
from upshot.local.process import Launch
from upshot.local.roles import metrics_port
from upshot.private_files import create_private
from upshot.processors.roles import ALWAYS as ROLES
from upshot.settings import Settings, load_settings

APP_PASSWORD, VIEWER_PASSWORD = "write", "look"


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text())
    return found


def test_mounted_files_exist(root: Path, compose: dict[str, Any]) -> None:
    mounts = [
        mount.split(":") for service in compose["services"].values() for mount in service.get("volumes", [])
    ]
    files = [source for source, *_ in mounts if source.startswith(".")]
    assert files and all((root / file).exists() for file in files)
    assert {source for source, *_ in mounts if not source.startswith(".")} == set(compose["volumes"])


def test_nothing_listens_beyond_this_machine(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 5 and all(port.startswith("127.0.0.1:") for port in ports)


def test_environment_is_real_settings(compose: dict[str, Any]) -> None:
    environment = {**compose["services"]["worker"]["environment"]}
    ours = {name for name, value in environment.items() if value}
    assert {name.removeprefix("UPSHOT_").lower() for name in ours} <= set(Settings.model_fields)
    given = {name: re.sub(r"\$\{\w+:\?[^}]+\}", "given", v) for name, v in environment.items()}
    settings = load_settings(given)
    assert settings.kafka_url == "kafka:19092"
    assert "INSIDE://kafka:19092" in compose["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert settings.clickhouse_url.get_secret_value() == "http://app:given@clickhouse:8123/upshot"


def test_versions_are_those_that_are_tested(root: Path, compose: dict[str, Any]) -> None:
    engine = re.search(r'"chdb-core==(\d+\.\d+)\.', (root / "pyproject.toml").read_text())
    assert engine is not None
    assert compose["services"]["kafka"]["image"].startswith(f"apache/kafka:{KAFKA_VERSION.split('.')[0]}.")
    assert compose["services"]["clickhouse"]["image"].startswith(f"clickhouse/clickhouse-server:{engine[1]}.")


def test_images_are_named_by_digest(root: Path, compose: dict[str, Any]) -> None:
    images = [service["image"] for service in compose["services"].values() if "build" not in service]
    images += re.findall(r"^FROM (\S+)", (root / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == 5
    assert all(re.fullmatch(r"[a-z/-]+:v?[\d.]+(-slim)?@sha256:[0-9a-f]{64}", image) for image in images)
    assert re.fullmatch(
        r"[a-z-]+@\d+\.\d+\.\d+", compose["services"]["grafana"]["environment"]["GF_PLUGINS_PREINSTALL"]
    )


def test_no_password_has_a_default(root: Path, compose: dict[str, Any], tmp_path: Path) -> None:
    text = (root / "docker-compose.yml").read_text()
    wanted = set(re.findall(r"\$\{(\w+):\?", text))
    assert set(re.findall(r"\$\{(\w+)", text)) == wanted
    with (tmp_path / ".env").open("w") as file:
        subprocess.run([root / "deploy" / "passwords"], stdout=file, check=True)
    made = dict(line.split("=") for line in (tmp_path / ".env").read_text().splitlines())
    assert made.keys() == wanted and len({*made.values()}) == len(wanted)
    assert all(re.fullmatch("[0-9a-f]{48}", password) for password in made.values())
    shown = {
        name
        for service in ("worker", "web")
        for name, v in compose["services"][service]["environment"].items()
        if v
    }
    assert not shown & wanted, "of .env, but no business of these containers"


def test_the_image_copies_what_it_builds_from(root: Path) -> None:
    lines = (root / "Dockerfile").read_text().splitlines()
    ignored = (root / ".dockerignore").read_text().split()
    assert "COPY requirements.lock ./" in lines and (root / "requirements.lock").is_file()
    assert not {"upshot", "schemas", "streams", "processors", "insights", "README.md"} & set(ignored)


def test_grafana_finds_datasource_and_dashboard(root: Path, compose: dict[str, Any]) -> None:
    provisioning = root / "dashboards" / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "clickhouse.yml").read_text())["datasources"][0]
    provider = yaml.safe_load((provisioning / "dashboards" / "upshot.yml").read_text())["providers"][0]
    grafana = compose["services"]["grafana"]
    dashboard = json.loads((root / "dashboards" / "grafana" / "upshot.json").read_text())
    used = {panel["datasource"]["uid"] for panel in dashboard["panels"]}
    used |= {target["datasource"]["uid"] for panel in dashboard["panels"] for target in panel["targets"]}
    used |= {variable["datasource"]["uid"] for variable in dashboard["templating"]["list"]}
    assert used == {source["uid"]}
    assert source["type"] in grafana["environment"]["GF_PLUGINS_PREINSTALL"]
    assert source["secureJsonData"]["password"].removeprefix("$") in grafana["environment"]
    assert any(
        mount.split(":")[1].startswith(provider["options"]["path"] + "/") for mount in grafana["volumes"]
    )
    assert source["jsonData"]["host"] in compose["services"]
    longest = users_may_ask(root)
    assert int(source["jsonData"]["queryTimeout"]) + 5 < 60 < longest - 10
    users = ET.parse(root / "deploy" / "clickhouse" / "users.xml").getroot()
    viewer = users.find(f"users/{source['jsonData']['username']}")
    assert viewer is not None
    for listed, column in (("tables", "name"), ("columns", "table")):
        written = viewer.findtext(f"databases/system/{listed}/filter")
        assert written == f"NOT match({column}, '{STORAGE}')"


def users_may_ask(root: Path) -> int:
    """The longest time in seconds that `viewer` may ask for.

    The same in containers and in the local stack.
    """
    path = "profiles/viewer/constraints/max_execution_time/max"
    deployed = ET.parse(root / "deploy" / "clickhouse" / "users.xml").getroot().findtext(path)
    assert deployed == str(VIEWER_LONGEST)
    return int(deployed)


def test_prometheus_scrapes_the_workers_and_grafana_shows_it(root: Path, compose: dict[str, Any]) -> None:
    services = compose["services"]
    settings = load_settings({**services["worker"]["environment"], "UPSHOT_CLICKHOUSE_URL": "http://c/u"})
    scraped = yaml.safe_load((root / "deploy" / "prometheus" / "prometheus.yml").read_text())
    targets = [sd for job in scraped["scrape_configs"] for sd in job["dns_sd_configs"]]
    assert [target["port"] for target in targets] == [metrics_port(settings, role) for role in ROLES]
    assert all(target["names"] == ["worker"] for target in targets) and settings.metrics_host == "0.0.0.0"
    assert all((root / "deploy" / "prometheus" / file).exists() for file in scraped["rule_files"])
    provisioning = root / "dashboards" / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"][0]
    dashboard = json.loads((root / "dashboards" / "grafana" / "upshot-workers.json").read_text())
    used = {panel["datasource"]["uid"] for panel in dashboard["panels"]}
    used |= {variable["datasource"]["uid"] for variable in dashboard["templating"]["list"]}
    assert used == {source["uid"]}
    assert source["url"] == "http://prometheus:9090" and "prometheus" in services
    assert any("upshot-workers.json" in mount for mount in services["grafana"]["volumes"])


class Deployed(ClickHouseServer):
    """The real engine with the users of the deployment beside the engine's own."""

    users: Path

    def prepare(self) -> Launch:
        launch = super().prepare()
        assert launch.cwd is not None
        own = ET.parse(launch.cwd / "users.xml")
        deployed = ET.parse(self.users).getroot()
        for section in ("profiles", "users"):
            target = own.find(section)
            assert target is not None
            for element in deployed.findall(f"{section}/*"):
                if element.get("remove"):
                    continue  # the embedded engine's own session needs its `default`
                for old in target.findall(element.tag):
                    target.remove(old)
                target.append(element)
        own.write(str(launch.cwd / "users.xml"))
        passwords = {"CLICKHOUSE_APP_PASSWORD": APP_PASSWORD, "CLICKHOUSE_VIEWER_PASSWORD": VIEWER_PASSWORD}
        return replace(launch, env=passwords)


@pytest.fixture
def deployed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    create_private(tmp_path / FILE_NAME, json.dumps({"app": APP_PASSWORD, "viewer": VIEWER_PASSWORD}))
    # A full server has grants for what the embedded engine keeps by settings.
    monkeypatch.setattr(ClickHouseServer, "_check_locks", lambda self: None)
    server = Deployed(tmp_path)
    server.users = root / "deploy" / "clickhouse" / "users.xml"
    with running(server):
        yield server


@pytest.mark.stack
def test_the_deployed_users_may_what_they_should(deployed: Deployed) -> None:
    def ask(user: str, password: str, sql: str) -> str:
        headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
        request = urllib.request.Request(
            f"http://127.0.0.1:{deployed.http_port}/?database=upshot", sql.encode(), headers
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return str(response.read().decode()).strip()
        except urllib.error.HTTPError as error:
            return f"refused: {error.read().decode()}"

    assert ask("app", APP_PASSWORD, "CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a") == ""
    assert ask("app", APP_PASSWORD, "INSERT INTO t VALUES (1)") == ""
    assert ask("app", APP_PASSWORD, "SELECT getSetting('async_insert')") in ("0", "false")
    for seconds in (30, 59, 60, 64, 65, 75):
        asked = f"SELECT a FROM t SETTINGS max_execution_time = {seconds}"
        assert ask("viewer", VIEWER_PASSWORD, asked) == "1"
    refused = (
        "INSERT INTO t VALUES (2)",
        "DROP TABLE t",
        "SELECT a FROM t SETTINGS max_execution_time = 600",
        "SELECT * FROM file('users.xml', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1', 'upshot', 't')",
    )
    app_refused = (
        "CREATE DATABASE other",
        "CREATE TABLE u (a Int64) ENGINE = URL('http://127.0.0.1:1/', 'CSV')",
        "SELECT * FROM file('users.xml', 'LineAsString')",
        "INSERT INTO FUNCTION file('x', 'LineAsString', 'l String') VALUES ('x')",
        "SELECT * FROM url('http://127.0.0.1:1', 'LineAsString')",
        "SELECT 1 SETTINGS add_http_cors_header = 1",
        "SELECT name FROM system.users",
    )
    for sql in app_refused:
        assert ask("app", APP_PASSWORD, sql).startswith("refused: "), sql
    for sql in refused:
        assert ask("viewer", VIEWER_PASSWORD, sql).startswith("refused: "), sql
    assert ask("viewer", "wrong", "SELECT 1").startswith("refused: ")
