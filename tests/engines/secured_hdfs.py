"""An HDFS that wants a sign-in by Kerberos from everybody, for tests."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfile
from types import TracebackType
from typing import Any, Self

import httpx

from lake.hadoop.kerberos import KerberosLogin
from stack.engines import hadoop, hadoop_user
from tests.engines.engine import Engine
from tests.engines.kerberos import REALM, Kdc
from tests.engines.ports import own_settings

# The daemons' user in HDFS, and that of the shop.
DAEMONS, SHOP = f"hashiramart/localhost@{REALM}", f"shop@{REALM}"
WEB = f"HTTP/localhost@{REALM}"

# Without privileged ports, which only root may open, a DataNode wants TLS or this word that it is only a test. Between it and its clients
# there is SASL as well.
_SECURITY = {
    "core-site.xml": {
        "hadoop.security.authentication": "kerberos",
        "hadoop.security.authorization": "true",
        "hadoop.user.group.static.mapping.overrides": "hashiramart=hashiramart;shop=shop;dr.who=;",
        "hadoop.http.authentication.type": "kerberos",
        "hadoop.http.authentication.kerberos.principal": WEB,
        "hadoop.http.authentication.kerberos.keytab": "{keytab}",
    },
    "hdfs-site.xml": {
        "dfs.block.access.token.enable": "true",
        "dfs.data.transfer.protection": "authentication",
        "ignore.secure.ports.for.testing": "true",
        "dfs.namenode.kerberos.principal": DAEMONS,
        "dfs.namenode.keytab.file": "{keytab}",
        "dfs.datanode.kerberos.principal": DAEMONS,
        "dfs.datanode.keytab.file": "{keytab}",
        "dfs.web.authentication.kerberos.principal": WEB,
        "dfs.web.authentication.kerberos.keytab": "{keytab}",
    },
}


class SecuredHdfs:
    """An HDFS with one DataNode, of the realm of a KDC."""

    def __init__(self, folder: Path, kdc: Kdc, keys: Path) -> None:
        """keys: a keytab with the keys of `DAEMONS` and `WEB`"""
        self.settings = own_settings(folder)
        hadoop_user.create(self.settings)
        # The file system is formatted before its configuration asks for a sign-in.
        hadoop.prepare_namenode(self.settings)
        hadoop.prepare(self.settings, "datanode")
        self._configuration = hadoop.configuration_folder(self.settings)
        keytab, krb5 = self._configuration / "daemons.keytab", self._configuration / "krb5.conf"
        copyfile(keys, keytab)
        copyfile(kdc.configuration, krb5)
        keytab.chmod(0o644)
        self._secure({"keytab": str(keytab)})
        self._daemons_login = KerberosLogin(DAEMONS, keytab)
        self._namenode = self._daemon("namenode", lambda: bool(self._namenode_info()))
        self._datanode = self._daemon("datanode", self._has_datanode)
        self.webhdfs_url = f"http://localhost:{self.settings.namenode_port}"

    def __enter__(self) -> Self:
        with ExitStack() as running:
            running.enter_context(self._namenode)
            running.enter_context(self._datanode)
            self._change("/hashiramart", op="MKDIRS")
            self._change("/hashiramart", op="SETOWNER", owner="shop")
            self._stop = running.pop_all().close
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._stop()

    def _secure(self, values: Mapping[str, str]) -> None:
        """Writes the configuration for the host name that the principals have, with all that asks for a sign-in."""
        places = dict.fromkeys(hadoop.ONE_MACHINE, "localhost")
        for name, text in hadoop.render_configuration(self.settings, self.settings.data, places).items():
            properties = {key: value.format_map(values) for key, value in _SECURITY.get(name, {}).items()}
            added = "".join(f"<property><name>{key}</name><value>{value}</value></property>\n" for key, value in properties.items())
            (self._configuration / name).write_text(text.replace("</configuration>", f"{added}</configuration>"))

    def _daemon(self, name: str, ready: Callable[[], bool]) -> Engine:
        folder = self.settings.stack_folder / name
        folder.mkdir()
        command = hadoop.command(self.settings, name)
        command.insert(-1, f"-Djava.security.krb5.conf={self._configuration / 'krb5.conf'}")
        return Engine(folder, command, ready, hadoop.environment(self.settings))

    def _namenode_info(self) -> dict[str, Any]:
        beans: list[dict[str, Any]] = _json(f"{self.webhdfs_url}{hadoop.NAMENODE_INFO}", self._headers()).get("beans", [])
        return beans[0] if beans else {}

    def _has_datanode(self) -> bool:
        info = self._namenode_info()
        return info.get("Safemode") == "" and any(node["capacity"] for node in json.loads(info["LiveNodes"]).values())

    def _change(self, path: str, **parameters: str) -> None:
        httpx.put(f"{self.webhdfs_url}/webhdfs/v1{path}", params=parameters, headers=self._headers()).raise_for_status()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._daemons_login.authorization("localhost")}


def _json(url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """What a daemon says; empty while it does not answer."""
    try:
        found: dict[str, Any] = httpx.get(url, headers=headers).raise_for_status().json()
    except httpx.HTTPError:
        return {}
    return found
