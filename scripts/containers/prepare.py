"""`python -m podwire.scripts.containers.prepare`: makes, once, what the containers of a cluster prove themselves with,
and writes for the host what it needs to reach them.

Passwords and keys stay as they are while the volume does: containers are started one by one, and again.
"""

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Final

from podwire.scripts.cluster import credentials, ssh_files
from podwire.scripts.cluster.addressing import AddressingError, addressing
from podwire.scripts.cluster.credentials import write_private
from podwire.scripts.cluster.folder import ClusterFolder
from podwire.scripts.cluster.layout import OBSERVER, OPERATOR, Layout, LayoutError
from podwire.scripts.cluster.permissions import observer, operator, permissions
from podwire.scripts.containers import plan as containers
from podwire.scripts.containers.wanted import Wanted, WantedError, cluster_file, wanted
from podwire.services.chassis.live.nats_server import Account, Listening, Membership, User, configuration

_HOST: Final = Path("/host")
_OWNER: Final = 10001
"""Whom the containers run as."""
_PEOPLE: Final = {"operator": OPERATOR, "observer": OBSERVER}
"""Who uses the bus from the host, by the names of their passwords' files."""


class PreparationError(Exception):
    """The volumes cannot be used; the message says what to do."""


def main() -> None:
    """Prepares the volumes; what is wrong is one line."""
    try:
        ask = wanted()
        prepare(ask, Path(containers.KEYS), _HOST)
    except (WantedError, LayoutError, AddressingError, PreparationError, OSError) as error:
        sys.exit(f"prepare: {error}")
    print(f"the host's files are written: kubectl --kubeconfig compose/cluster/kubeconfig get nodes; {ask.nodes} nodes")


def prepare(ask: Wanted, keys: Path, host: Path) -> None:
    """Makes the keys where there are none, and the host's files. Raises PreparationError, OSError."""
    plan = containers.containers(ask.nodes, ask.ip_family)
    made = keys / "made.json"
    shape = {"nodes": ask.nodes, "ip_family": ask.ip_family}
    if not made.exists():
        _make_keys(plan, ask, ClusterFolder(keys))
        _give(keys, _OWNER, _OWNER)
        write_private(made, json.dumps(shape).encode())
    elif (before := json.loads(made.read_text())) != shape:
        raise PreparationError(f"{shape}: the volumes are of {before}; docker compose down --volumes begins anew")
    _write_for_the_host(plan, ask, ClusterFolder(keys), ClusterFolder(host))
    status = host.stat()
    _give(host, status.st_uid, status.st_gid)


def _give(folder: Path, owner: int, group: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, group)


# -- keys


def _make_keys(plan: Layout, ask: Wanted, keys: ClusterFolder) -> None:
    names = containers.names(plan)
    users = {name: process.user for name, process in names.items()} | _PEOPLE
    may = {process.user: permissions(process, plan) for process in names.values()}
    may |= {OPERATOR: operator(OPERATOR), OBSERVER: observer()}
    passwords = {name: secrets.token_urlsafe(24) for name in users}
    for name, password in passwords.items():
        write_private(keys.path / "passwords" / name, password.encode())
    account = Account(
        {user: User(passwords[name], *may[user]) for name, user in users.items()}, secrets.token_urlsafe(24)
    )
    _write_bus(account, keys.path / "nats")
    _write_certificates(ask, keys)
    ssh_files.write(keys, plan)


def _write_bus(account: Account, folder: Path) -> None:
    listening = Listening(containers.BUS_PORT, containers.MQTT_PORT, containers.MONITOR_PORT, containers.EVERYWHERE)
    store = Path(containers.STORE)
    write_private(folder / "nats.conf", configuration(store, listening, account).encode())
    password, port = secrets.token_urlsafe(24), containers.ROUTES_PORT
    others = tuple(f"{name}:{port}" for name in containers.SERVERS)
    for name in containers.SERVERS:
        member = Membership(name, port, "route", password, others)
        write_private(folder / f"{name}.conf", configuration(store, listening, account, member).encode())


def _write_certificates(ask: Wanted, keys: ClusterFolder) -> None:
    ca = credentials.authority()
    server = credentials.server(ca, credentials.addresses(addressing(ask.ip_family)))
    for name, data in (
        ("ca.crt", ca.certificate_pem()),
        ("apiserver.crt", server.certificate_pem()),
        ("apiserver.key", server.key_pem()),
        ("sa.key", credentials.token_key_pem()),
    ):
        write_private(keys.keys / name, data)
    write_private(keys.kubeconfig, credentials.kubeconfig(ca, credentials.administrator(ca), ask.api_port).encode())


# -- the host's files


def _write_for_the_host(plan: Layout, ask: Wanted, keys: ClusterFolder, host: ClusterFolder) -> None:
    write_private(host.kubeconfig, credentials.with_port(keys.kubeconfig.read_text(), ask.api_port).encode())
    write_private(host.ssh_key, keys.ssh_key.read_bytes())
    write_private(host.keys / "ssh_known_hosts", (keys.keys / "ssh_known_hosts").read_bytes())
    here = Path()
    text = ssh_files.config(plan, ask.ssh_port, here / host.ssh_key.name, here / "pki/ssh_known_hosts")
    write_private(host.ssh_config, text.encode())
    operator_password, observer_password = ((keys.path / "passwords" / name).read_text() for name in _PEOPLE)
    host.write_cluster(cluster_file(ask, f"nats://127.0.0.1:{ask.bus_port}", operator_password, observer_password))


if __name__ == "__main__":
    main()
