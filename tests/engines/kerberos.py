"""A Kerberos realm for tests: Debian's KDC, run by the tests' user on a port of the loopback, with a krb5.conf of its own."""

import os
import re
import socket
import subprocess
from pathlib import Path
from shutil import which

from tests.engines.engine import Engine
from tests.engines.ports import free_port

REALM = "HASHIRAMART.TEST"
PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local")
PATH = f"{os.environ['PATH']}:/usr/sbin"

_CLIENTS = """\
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  {realm} = {{
    kdc = 127.0.0.1:{port}
  }}
"""
_KDC = """\
[kdcdefaults]
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
[realms]
  {realm} = {{
    database_name = {folder}/principals
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
  }}
[logging]
  kdc = STDERR
"""


class Kdc(Engine):
    """A KDC with an empty realm."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.configuration = folder / "krb5.conf"
        values = {"realm": REALM, "port": self.port, "folder": folder}
        self.configuration.write_text(_CLIENTS.format(**values))
        (folder / "kdc.conf").write_text(_KDC.format(**values))
        self._environment_of_programs = {"KRB5_CONFIG": str(self.configuration), "KRB5_KDC_PROFILE": str(folder / "kdc.conf")}
        self._call("kdb5_util", "create", "-s", "-P", "a password of a realm that ends with the tests")
        super().__init__(folder, [_path("krb5kdc"), "-n"], self._answers, self._environment_of_programs)

    def add(self, *principals: str, ticket_life: str = "1h") -> Path:
        """Adds principals with random keys, and returns a keytab with the keys of all of them."""
        keytab = self.folder / f"{principals[0].replace('/', '-')}.keytab"
        for principal in principals:
            self._call("kadmin.local", "addprinc", "-randkey", "-maxlife", ticket_life, principal)
            self._call("kadmin.local", "ktadd", "-norandkey", "-k", str(keytab), principal)
        return keytab

    def change_key(self, principal: str) -> None:
        """Gives a principal another key, which no keytab has."""
        self._call("kadmin.local", "change_password", "-randkey", principal)

    def remove(self, principal: str) -> None:
        """Removes a principal, whose keytab stays."""
        self._call("kadmin.local", "delete_principal", "-force", principal)

    def count_tickets(self, principal: str) -> int:
        """How often the principal has signed in."""
        return len(re.findall(rf"AS_REQ .* ISSUE: .* {principal}@", (self.folder / "log").read_text()))

    def _answers(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def _call(self, program: str, *words: str) -> None:
        subprocess.run([_path(program), *words], check=True, capture_output=True, env=os.environ | self._environment_of_programs)


def _path(program: str) -> str:
    path = which(program, path=PATH)
    if path is None:
        raise FileNotFoundError(f"Debian's {program} is not installed; `make test` does it")
    return path
