"""Starting a live cluster: keys, ports, configuration, the supervisor's process, the event log's stream."""

import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from podwire import compose
from podwire.scripts.cluster import credentials, ssh_files
from podwire.scripts.cluster.addressing import AddressingError, addressing
from podwire.scripts.cluster.folder import ClusterFile, ClusterFolder, FolderError
from podwire.scripts.cluster.layout import OBSERVER, OPERATOR, App, Layout, LayoutError, layout
from podwire.scripts.cluster.permissions import observer, operator, permissions
from podwire.scripts.cluster.ports import free_port
from podwire.scripts.cluster.supervisor import Supervisor
from podwire.scripts.errors import UserError
from podwire.services.chassis.live.nats_server import Account, NatsServer, NatsServerError, User

MANIFESTS: Final = Path(next(iter(compose.__path__))) / "manifests"


@dataclass(frozen=True, slots=True)
class Options:
    """What `podwire up` was asked for."""

    workers: int = 3
    data_dir: str = ".podwire"
    api_port: int = 6443
    detach: bool = False
    apps: tuple[App, ...] = ()
    ip_family: str = "ipv4"
    upstream: str = ""
    """ADDRESS:PORT of a real resolver."""


@dataclass(frozen=True, slots=True)
class Started:
    """A supervisor that runs. Closing `owner` (in foreground) ends it."""

    folder: ClusterFolder
    cluster: ClusterFile
    owner: int | None


def start(options: Options) -> Started:
    """Prepares and forks the supervisor. Raises UserError."""
    folder = ClusterFolder(Path(options.data_dir))
    try:
        addressing(options.ip_family)
        folder.make()
        folder.lock()
        folder.check_room()
        _check_continued(options, folder)
        _check_files(folder)
        folder.doors.unlink(missing_ok=True)
        folder.release_all()
        plan = _plan(options, folder)
        return _start(options, folder, plan)
    except (FolderError, AddressingError, LayoutError, NatsServerError) as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{error.filename or folder.path}: {error.strerror}") from None


def _check_files(folder: ClusterFolder) -> None:
    """What an earlier life left must be whole before anything is written to it. Raises UserError, OSError."""
    from podwire.scripts.history.verifying import verify  # a continued cluster's only

    if (key := folder.keys / "sa.key").exists():
        try:
            load_pem_private_key(key.read_bytes(), password=None)
        except ValueError:
            text = "it is no private key in PEM; put it back, or remove it (tokens made before then end)"
            raise UserError(f"{key}: {text}") from None
    if folder.nats.exists() or folder.acknowledged.exists():
        verify(folder)


def _check_continued(options: Options, folder: ClusterFolder) -> None:
    """A folder's cluster goes on with the machines that it had."""
    before = folder.previous()
    if before is None:
        return
    for option, given, kept in (
        ("--nodes", str(options.workers), str(before.workers)),
        ("--ip-family", options.ip_family, before.ip_family),
    ):
        if given != kept:
            text = f"{option} {given}: the cluster in {folder.path} has {kept}"
            raise UserError(f"{text}; continue it with {option} {kept}, or begin anew after podwire down --purge")


def _plan(options: Options, folder: ClusterFolder) -> Layout:
    api = {
        "api_port": free_port(options.api_port),
        "api_cert_file": str(folder.keys / "apiserver.crt"),
        "api_key_file": str(folder.keys / "apiserver.key"),
        "api_ca_file": str(folder.keys / "ca.crt"),
        "service_account_key_file": str(folder.keys / "sa.key"),
        "acknowledged_file": str(folder.acknowledged),
    }
    controllers = {"root_ca_file": str(folder.keys / "ca.crt")}
    ssh = {
        "port": free_port(),
        "host_key_file": str(folder.keys / "ssh_host_key"),
        "authorized_keys_file": str(folder.keys / "ssh_authorized_keys"),
    }
    outside = {"doors_file": str(folder.doors), "upstream": options.upstream}
    static, networks = str(MANIFESTS / "static"), addressing(options.ip_family)
    return layout(options.workers, static, api, controllers, options.apps, ssh, networks, outside)


def _start(options: Options, folder: ClusterFolder, plan: Layout) -> Started:
    port, mqtt_port = free_port(), free_port()
    users = {entry.user: User(secrets.token_urlsafe(24), *permissions(entry, plan)) for entry in plan.processes}
    users[OPERATOR] = User(secrets.token_urlsafe(24), *operator(OPERATOR))
    users[OBSERVER] = User(secrets.token_urlsafe(24), *observer())
    nats = NatsServer(folder.nats, port, Account(users, secrets.token_urlsafe(24)), mqtt_port)
    api_port = int(plan.processes[0].settings["api_port"])
    _write_keys(folder, api_port, credentials.addresses(addressing(options.ip_family)))
    ssh_files.write(folder, plan)
    owner = None if options.detach else os.pipe()
    passwords = {name: user.password for name, user in users.items()}
    pid = _fork_supervisor(folder, nats, plan, passwords, owner)
    cluster = ClusterFile(
        bus_url=nats.url,
        operator=OPERATOR,
        password=users[OPERATOR].password,
        api_port=api_port,
        workers=options.workers,
        supervisor=pid,
        mqtt_port=mqtt_port,
        observer_password=users[OBSERVER].password,
        ip_family=options.ip_family,
    )
    folder.write_cluster(cluster)
    return Started(folder, cluster, owner[1] if owner else None)


def _write_keys(folder: ClusterFolder, api_port: int, addresses: list[str]) -> None:
    ca = credentials.authority()
    server, client = credentials.server(ca, addresses), credentials.administrator(ca)
    for name, data in (
        ("ca.crt", ca.certificate_pem()),
        ("apiserver.crt", server.certificate_pem()),
        ("apiserver.key", server.key_pem()),
    ):
        credentials.write_private(folder.keys / name, data)
    if not (folder.keys / "sa.key").exists():
        credentials.write_private(folder.keys / "sa.key", credentials.token_key_pem())
    credentials.write_private(folder.kubeconfig, credentials.kubeconfig(ca, client, api_port).encode())


def _fork_supervisor(
    folder: ClusterFolder,
    nats: NatsServer,
    plan: Layout,
    passwords: dict[str, str],
    owner: tuple[int, int] | None,
) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        if owner is not None:
            os.close(owner[0])
        return pid
    code = 1
    try:
        os.setsid()
        if owner is not None:
            os.close(owner[1])
        log = os.open(folder.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        Supervisor(folder, nats, plan.processes, passwords, owner[0] if owner else None).run()
        code = 0
    except Exception as error:
        sys.stderr.write(f"supervisor: {type(error).__name__}: {error}\n")
    finally:
        os._exit(code)
