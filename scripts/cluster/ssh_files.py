"""What OpenSSH's client needs to reach the machines: keys, and a configuration with a Host for each."""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from podwire.scripts.cluster.credentials import write_private
from podwire.scripts.cluster.folder import ClusterFolder
from podwire.scripts.cluster.layout import OUTSIDE, Layout

ALIAS: Final = "podwire"
"""The name that the server's key is known by, whatever its port."""


def write(folder: ClusterFolder, plan: Layout) -> None:
    """Makes new keys and writes the files, each readable for its owner alone."""
    (host, host_public), (client, client_public) = _pair(), _pair()
    known = folder.keys / "ssh_known_hosts"
    write_private(folder.keys / "ssh_host_key", host)
    write_private(known, f"{ALIAS} ".encode() + host_public + b"\n")
    write_private(folder.ssh_key, client)
    write_private(folder.keys / "ssh_authorized_keys", client_public + b"\n")
    port = next(process.settings["port"] for process in plan.processes if process.component == "ssh")
    write_private(folder.ssh_config, config(plan, int(port), folder.ssh_key, known).encode())


def _pair() -> tuple[bytes, bytes]:
    """A new private and public key in OpenSSH's forms; the private one is not encrypted: its file is 0600."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public


def config(plan: Layout, port: int, key: Path, known_hosts: Path) -> str:
    """ssh_config(5): one Host for each machine, whose name is the user's, and what all have in common."""
    machines = [*(machine.name for machine in plan.machines), OUTSIDE]
    hosts = "".join(f"Host {name}\n    User {name}\n" for name in machines)
    return f"""# Made by podwire up, for: ssh -F {key.parent}/ssh_config {machines[0]} "ip addr"
{hosts}Host {" ".join(machines)}
    HostName 127.0.0.1
    Port {port}
    HostKeyAlias {ALIAS}
    IdentityFile {_quoted(key)}
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {_quoted(known_hosts)}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    PreferredAuthentications publickey
"""


def _quoted(path: Path) -> str:
    """A path as one word; `%` begins a token, and would expand."""
    return '"' + str(path).replace("%", "%%") + '"'
