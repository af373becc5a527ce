"""The file systems that hold a raw zone: WebHDFS, signed in to where the cluster is secured, and whatever else fsspec reaches."""

from urllib.parse import parse_qs, urlsplit

import fsspec
from fsspec import AbstractFileSystem
from requests import PreparedRequest
from requests.auth import AuthBase

from lake.hadoop.kerberos import KerberosLogin

# WebHDFS over HTTPS, as Hadoop itself calls it.
SECURE = "swebhdfs"


def connect(url: str, login: KerberosLogin | None) -> tuple[AbstractFileSystem, str]:
    """A file system, and the path of a URL in it.

    url: an fsspec URL, or `swebhdfs://`; of HTTPS, the authorities are those of REQUESTS_CA_BUNDLE
    login: for WebHDFS; who signs in is nobody else, so the URL's user is left out
    """
    parts = urlsplit(url)
    if parts.scheme not in (SECURE, "webhdfs"):
        files, root = fsspec.core.url_to_fs(url)
        return files, root.rstrip("/")
    user = parts.username if login is None else None
    files = fsspec.filesystem("webhdfs", host=parts.hostname, port=parts.port, user=user, use_https=parts.scheme == SECURE)
    files.session.auth = _Negotiate(login) if login else None
    return files, parts.path.rstrip("/")


class _Negotiate(AuthBase):
    """Signs in with every request, so that none has to be sent twice."""

    def __init__(self, login: KerberosLogin) -> None:
        self._login = login

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        target = urlsplit(request.url or "")
        # A DataNode knows the caller by the token that the NameNode has put into the address.
        if "delegation" not in parse_qs(target.query):
            request.headers["Authorization"] = self._login.authorization(target.hostname or "")
        return request
