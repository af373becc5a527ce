"""An HDFS that wants Kerberos: nobody without a ticket comes in; with a principal and a keytab, files are landed, listed and exported."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest

from lake.hadoop import webhdfs
from lake.hadoop.kerberos import KerberosError, KerberosLogin
from lake.landing.landing import land
from mesh.errors import Unavailable
from services.jobs.errors import EngineUnavailable
from services.jobs.negotiation import Negotiate
from services.jobs.raw_files import RawFiles
from services.jobs.raw_zone import RawZoneClient
from tests.engines.kerberos import REALM, Kdc
from tests.engines.secured_hdfs import DAEMONS, SHOP, WEB, SecuredHdfs

pytestmark = pytest.mark.engine

TODAY = date(2026, 1, 2)
TICKET_SECONDS = 2


@pytest.fixture(scope="module")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    with pytest.MonkeyPatch.context() as patch, Kdc(tmp_path_factory.mktemp("kdc")) as kdc:
        patch.setenv("KRB5_CONFIG", str(kdc.configuration))
        yield kdc


@pytest.fixture(scope="module")
def login(kdc: Kdc) -> KerberosLogin:
    return KerberosLogin(SHOP, kdc.add(SHOP))


@pytest.fixture(scope="module")
def daemon_keys(kdc: Kdc) -> Path:
    return kdc.add(DAEMONS, WEB)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, kdc: Kdc, daemon_keys: Path) -> Iterator[SecuredHdfs]:
    with SecuredHdfs(tmp_path_factory.mktemp("secured"), kdc, daemon_keys) as cluster:
        yield cluster


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    file = tmp_path / "sales.csv"
    file.write_text(
        "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
        "536365,85123A,LANTERN,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
        "536366,22633,HAND WARMER,6,2010-12-02 08:28:00,1.85,17850,United Kingdom\n"
    )
    return file


def raw_root(secured: SecuredHdfs) -> str:
    return f"webhdfs://hashiramart@localhost:{secured.settings.namenode_port}/hashiramart/raw"


def test_hdfs_lets_nobody_in_without_a_ticket(secured: SecuredHdfs, sales: Path) -> None:
    files = f"{secured.webhdfs_url}/webhdfs/v1/hashiramart?op=LISTSTATUS"
    assert httpx.get(files).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.get(f"{files}&user.name=shop").status_code == httpx.codes.UNAUTHORIZED
    with pytest.raises(OSError, match="401"):
        land(sales, raw_root(secured), TODAY, lambda *_: None)


def test_a_file_is_landed_by_the_command_with_principal_and_keytab(secured: SecuredHdfs, login: KerberosLogin, sales: Path) -> None:
    settings = {"LANDING_RAW_ROOT": raw_root(secured), "KERBEROS_PRINCIPAL": SHOP, "KERBEROS_KEYTAB": str(login.keytab)}
    command = [sys.executable, "-m", "spark.land", str(sales)]
    done = subprocess.run(command, check=False, env=os.environ | settings, capture_output=True, text=True)
    assert "sales.csv is in /hashiramart/raw/" in done.stdout, done.stderr
    files, root = webhdfs.connect(raw_root(secured), login)
    assert {entry["owner"] for entry in files.ls(root, detail=True)} == {"shop"}


async def test_the_service_lists_what_was_landed_and_its_check_reports_a_keytab_that_signs_nobody_in(
    secured: SecuredHdfs, login: KerberosLogin
) -> None:
    signed_in = RawFiles(raw_root(secured), 1000, login)
    await signed_in.ping()
    assert [file.name for file in await signed_in.list_files("", 10)] == ["sales.csv"]
    with pytest.raises(Unavailable, match="KERBEROS_KEYTAB") as failure:
        await RawFiles(raw_root(secured), 1000, KerberosLogin(f"stranger@{REALM}", login.keytab)).ping()
    assert failure.value.reason == "STORAGE_UNAVAILABLE"


def test_the_reason_says_where_to_look(kdc: Kdc, login: KerberosLogin) -> None:
    old, gone = (KerberosLogin(f"{name}@{REALM}", kdc.add(name)) for name in ("old", "gone"))
    kdc.change_key("old")
    kdc.remove("gone")
    assert reason_of(old) == "KERBEROS_KEYTAB"
    assert reason_of(KerberosLogin(f"stranger@{REALM}", kdc.folder / "missing")) == "KERBEROS_KEYTAB"
    assert reason_of(gone) == "KERBEROS_PRINCIPAL"
    assert reason_of(KerberosLogin("shop@NOWHERE.TEST", kdc.add("shop@NOWHERE.TEST"))) == "KERBEROS_KDC"


@pytest.mark.usefixtures("daemon_keys")
def test_a_ticket_that_expires_is_got_anew(kdc: Kdc) -> None:
    login = KerberosLogin(f"hasty@{REALM}", kdc.add("hasty", ticket_life=f"{TICKET_SECONDS} seconds"))
    login.authorization("localhost")
    first = kdc.count_tickets("hasty")
    assert first
    time.sleep(TICKET_SECONDS)
    assert login.authorization("localhost")
    assert kdc.count_tickets("hasty") > first


async def test_events_are_exported_with_a_ticket_alone(secured: SecuredHdfs, login: KerberosLogin) -> None:
    async with httpx.AsyncClient(auth=Negotiate(login), follow_redirects=True) as client:
        zone = RawZoneClient(client, secured.webhdfs_url, "", "/hashiramart/raw")
        working = await zone.claim("events")
        await zone.create_folder(working, "events/export-000000000001", {"_END": b"7"})
        assert await zone.read_file("events/export-000000000001/_END") == b"7"
        await zone.remove("events")
    async with httpx.AsyncClient() as client:
        with pytest.raises(EngineUnavailable, match="HDFS wants a sign-in"):
            await RawZoneClient(client, secured.webhdfs_url, "shop", "/hashiramart/raw").list_names("sales")


def reason_of(login: KerberosLogin) -> str:
    with pytest.raises(KerberosError) as failure:
        login.authorization("localhost")
    return failure.value.reason
