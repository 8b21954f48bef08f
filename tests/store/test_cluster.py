"""A cluster of two real engines shows what one engine shows; statements for replicas are ClickHouse's own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.materialize.conftest import READ, Rows
from tests.parts import running
from tests.store.conftest import VIEWS, Store, record
from tests.store.shards import CLUSTER, Shard
from tests.store.story import story
from upshot.credentials import make_credentials
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.ports import choose_ports
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.cluster import spread
from upshot.processors.store.connection import connect
from upshot.processors.store.forgetting import Forgotten, delete, find
from upshot.processors.store.migrate import migrate, migrations
from upshot.settings import Settings

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Shard]]:
    """Two engines that know each other, with one password."""
    folder = tmp_path_factory.mktemp("cluster")
    names = [f"{kind}{number}" for number in range(2) for kind in ("http", "tcp")]
    ports = choose_ports(folder / "ports" / "ports.json", dict.fromkeys(names, 0))
    password = make_credentials(folder).app
    cluster = [ports["tcp0"], ports["tcp1"]]
    with ExitStack() as stack:
        found = []
        for number in range(2):
            found.append(stack.enter_context(running(_shard(folder, number, ports, cluster, password))))
            stack.callback(found[-1].kill)  # an orderly end waits for the other shard
        yield found


def _shard(folder: Path, number: int, ports: dict[str, int], cluster: list[int], password: str) -> Shard:
    own = folder / str(number)
    own.mkdir(mode=0o700)
    (own / "credentials.json").write_bytes((folder / "credentials.json").read_bytes())
    return Shard(own, (ports[f"http{number}"], ports[f"tcp{number}"]), cluster, password)


@pytest.fixture
def cluster(shards: list[Shard]) -> Settings:
    return Settings.model_validate(
        {
            "clickhouse_url": shards[0].url,
            "clickhouse_cluster": CLUSTER,
            "clickhouse_shards": ",".join(shard.url for shard in shards),
            "clickhouse_replicated": False,
        }
    )


async def filled(settings: Settings) -> Store:
    """A store with the story, its rows for reading written on each shard."""
    store = Store(settings)
    told = [*story(), *(record("runs", {"run_id": f"r-{n}", "agent": "a"}, offset=n) for n in range(20))]
    random.Random(5).shuffle(told)
    for shard in settings.shards:
        Rows(Store(shard))
    await store.take(*told)
    for shard in settings.shards:
        rows = Rows.__new__(Rows)
        rows.store = Store(shard)
        rows.follow(rows.changes(), Writer(shard))
    return store


async def test_a_cluster_shows_what_one_server_shows(cluster: Settings, shards: list[Shard]) -> None:
    one = cluster.model_copy(
        update={
            "clickhouse_cluster": "",
            "clickhouse_url": type(cluster.clickhouse_url)(shards[0].url + "_one"),
        }
    )
    assert len(migrate(one)) == len(migrate(cluster)) == len(migrations())
    assert migrate(cluster) == []
    several, single = await filled(cluster), await filled(one)
    views = [*VIEWS, *READ.values()]
    assert several.everything(views) == single.everything(views)
    for shard in cluster.shards:
        with closing(connect(shard)) as client:
            assert int(str(client.command("SELECT count() FROM scored_runs"))) > 3
    for shard in cluster.shards:
        delete(shard, find(shard, Forgotten("run", "r-7")))
    assert several.values("SELECT count() FROM runs WHERE run_id = 'r-7'") == [(0,)]
    assert several.values("SELECT count() FROM runs WHERE run_id = 'r-8'") == [(1,)]


def test_statements_for_replicas_are_understood(clickhouse: ClickHouseServer) -> None:
    """The engine of the tests runs none of them, but reads them."""
    settings = Settings.model_validate({"clickhouse_url": clickhouse.url, "clickhouse_cluster": "c"})
    with closing(connect(settings)) as client:
        for migration in migrations():
            for statement in migration.statements:
                changed = spread(settings, statement)
                client.query("SELECT formatQuery({sql:String})", parameters={"sql": changed})
                assert statement.startswith("INSERT") or " ON CLUSTER 'c'" in changed
                if " ENGINE = " in statement or "\nENGINE = " in statement:
                    assert "ENGINE = Replicated" in changed


def test_shards_have_the_users_and_databases_of_the_address() -> None:
    def urls(**changed: str) -> list[str]:
        settings = Settings.model_validate({"clickhouse_url": "https://u:p@h:1/d", **changed})
        return [shard.clickhouse_url.get_secret_value() for shard in settings.shards]

    assert urls() == ["https://u:p@h:1/d"]
    assert urls(clickhouse_cluster="c") == ["https://u:p@h:1/d_shard"]
    several = {"clickhouse_cluster": "c", "clickhouse_shards": "https://a:2, http://x:y@b/e"}
    assert urls(**several) == ["https://u:p@a:2/d_shard", "http://x:y@b/e_shard"]
