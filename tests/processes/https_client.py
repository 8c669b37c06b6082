"""HTTPS to a live cluster's API, as any client library makes it from a kubeconfig."""

import ssl
import tempfile
from base64 import b64decode
from urllib.parse import urlsplit

import aiohttp
import yaml
from live_cluster import LiveCluster


def server(cluster: LiveCluster) -> tuple[str, int]:
    """Where the API listens."""
    url = urlsplit(yaml.safe_load(cluster.folder.kubeconfig.read_text())["clusters"][0]["cluster"]["server"])
    assert url.hostname is not None and url.port is not None
    return url.hostname, url.port


def tls(cluster: LiveCluster, identified: bool = True) -> ssl.SSLContext:
    """A client's context, with the administrator's certificate or without any."""
    config = yaml.safe_load(cluster.folder.kubeconfig.read_text())
    trusted, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=b64decode(trusted["certificate-authority-data"]).decode())
    if identified:
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
    return context


def session(cluster: LiveCluster, identified: bool = True) -> aiohttp.ClientSession:
    """A client of the API."""
    host, port = server(cluster)
    connector = aiohttp.TCPConnector(ssl=tls(cluster, identified), limit=0)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=20)
    return aiohttp.ClientSession(f"https://{host}:{port}", connector=connector, timeout=timeout)
