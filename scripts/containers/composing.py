"""The text of a compose.yaml: one service a process, in the Compose specification's terms.

What is used of it is what both docker-compose 1.29 and the Compose plugin know.
https://github.com/compose-spec/compose-spec/blob/main/spec.md
"""

from typing import Any, Final

from podwire.scripts.cluster.components import COMPONENTS
from podwire.scripts.cluster.layout import MACHINE, Layout, ProcessPlan
from podwire.scripts.containers import plan as containers

_HEAD: Final = """\
# A cluster of {nodes} nodes, one container a process. Written by scripts/compose.py: change that, then
#   python scripts/compose.py {arguments}> compose/compose.yaml
# On 127.0.0.1: PODWIRE_API_PORT (6443), PODWIRE_BUS_PORT (4222), PODWIRE_MQTT_PORT (1883), PODWIRE_SSH_PORT (2222).
# For the host, in cluster/ or PODWIRE_DIR: kubeconfig, ssh_config, and what podwire --data-dir needs.
# COMPOSE_PROFILES=clustered: the bus is three NATS servers, and the event log is on each of them.

x-container: &container
  image: ${{PODWIRE_IMAGE:-podwire}}
  user: "10001:10001"
  read_only: true
  init: true
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]
  tmpfs: [/tmp, "/run/podwire:uid=10001,gid=10001"]
  stop_grace_period: 2s

x-process: &process
  <<: *container
  restart: always
  volumes: ["keys:/keys:ro"]
  depends_on:
    prepare: {{condition: service_completed_successfully}}
  healthcheck:
    test: [CMD-SHELL, 'test -n "$$(find /run/podwire/alive -newermt "-10 seconds")"']
    interval: 10s
    timeout: 10s
    start_period: 60s

x-environment: &environment
  PODWIRE_BUS_URL: nats://nats:4222
  PODWIRE_ALIVE_FILE: /run/podwire/alive

x-cluster: &cluster
  PODWIRE_NODES: "{nodes}"
  PODWIRE_IP_FAMILY: {ip_family}
  PODWIRE_PROXY_MODE: ${{PODWIRE_PROXY_MODE:-iptables}}
  PODWIRE_API_PORT: ${{PODWIRE_API_PORT:-6443}}
  PODWIRE_BUS_PORT: ${{PODWIRE_BUS_PORT:-4222}}
  PODWIRE_MQTT_PORT: ${{PODWIRE_MQTT_PORT:-1883}}
  PODWIRE_SSH_PORT: ${{PODWIRE_SSH_PORT:-2222}}

x-nats: &nats
  <<: *process
  healthcheck:
    test: [CMD, python, -S, -c, "import urllib.request as r; r.urlopen('http://127.0.0.1:8222/healthz', timeout=5)"]
    interval: 10s
    timeout: 10s
    start_period: 60s

services:
  # Ends once it has made keys, passwords and the host's files; the only one that is root, to give these their owners.
  prepare:
    <<: *container
    build:
      context: ..
      dockerfile: compose/Dockerfile
      args: [BASE, PIP_INDEX_URL, UV_INDEX_URL]
    user: "0:0"
    cap_add: [CHOWN, DAC_OVERRIDE, FOWNER]
    command: [python, -m, podwire.scripts.containers.prepare]
    environment: *cluster
    volumes: ["keys:/keys", "${{PODWIRE_DIR:-./cluster}}:/host"]

  # Ends once the event log is there, the system's objects are applied, and every node and system pod is Ready.
  bootstrap:
    <<: *process
    restart: on-failure
    healthcheck: {{disable: true}}
    command: [python, -m, podwire.scripts.containers.bootstrap]
    environment:
      <<: [*cluster, *environment]
      PODWIRE_BUS_PASSWORD_FILE: {operator}
"""
_NATS: Final = """
  {name}:
    <<: *nats
    profiles: [{profile}]
    command: [nats-server, -c, /keys/nats/{name}.conf]
    volumes: ["keys:/keys:ro", "{name}:/data"]
{rest}"""
_PORTS: Final = """\
    ports:
      - "127.0.0.1:${PODWIRE_BUS_PORT:-4222}:4222"
      - "127.0.0.1:${PODWIRE_MQTT_PORT:-1883}:1883"
"""
_ALIAS: Final = """\
    networks: {default: {aliases: [nats]}}
"""
_PUBLISHED: Final = {
    "apiserver": f"${{PODWIRE_API_PORT:-6443}}:{containers.API_PORT}",
    "ssh": f"${{PODWIRE_SSH_PORT:-2222}}:{containers.SSH_PORT}",
}
_SCALE: Final = {"coredns": 2}


def compose_file(workers: int, ip_family: str) -> str:
    """The whole file. Raises LayoutError and AddressingError."""
    plan = containers.containers(workers, ip_family)
    given = (("nodes", workers, 3), ("ip-family", ip_family, "ipv4"))
    arguments = "".join(f"--{name} {value} " for name, value, usual in given if value != usual)
    operator = containers.password_file("operator")
    head = _HEAD.format(nodes=workers, ip_family=ip_family, arguments=arguments, operator=operator)
    return head + _buses() + "".join(_service(name, plan) for name in containers.names(plan)) + _volumes(plan)


def _buses() -> str:
    single = _NATS.format(name="nats", profile="single", rest=_PORTS)
    first, *others = containers.SERVERS
    several = _NATS.format(name=first, profile="clustered", rest=_ALIAS + _PORTS)
    return single + several + "".join(_NATS.format(name=name, profile="clustered", rest=_ALIAS) for name in others)


def _service(name: str, plan: Layout) -> str:
    process = containers.names(plan)[name]
    package = COMPONENTS[process.component].package
    lines = [f"  {name}:", "    <<: *process", f"    command: [python, -m, {package}]"]
    if scale := _SCALE.get(process.component):
        lines.append(f"    scale: {scale}")
    if process.component == MACHINE:
        lines.append(f'    volumes: ["keys:/keys:ro", "{name}:{containers.STORE}"]')
    if published := _PUBLISHED.get(process.component):
        lines.append(f'    ports: ["127.0.0.1:{published}"]')
    lines += ["    environment:", "      <<: *environment"]
    lines += [f"      {variable}: {_scalar(value)}" for variable, value in _environment(name, process).items()]
    return "\n" + "\n".join(lines) + "\n"


def _environment(name: str, process: ProcessPlan) -> dict[str, Any]:
    settings = {
        "node": process.node,
        "bus_user": process.user,
        "bus_password_file": str(containers.password_file(name)),
    }
    if process.component == MACHINE:
        settings["disk"] = str(containers.STORE / "disk")
    settings |= process.settings
    return {f"PODWIRE_{field.upper()}": value for field, value in settings.items() if value != ""}


def _scalar(value: object) -> str:
    return '"' + str(value).lower() + '"' if isinstance(value, bool) else f'"{value}"'


def _volumes(plan: Layout) -> str:
    disks = [name for name, process in containers.names(plan).items() if process.component == MACHINE]
    return "\nvolumes:\n" + "".join(f"  {name}: {{}}\n" for name in ("keys", "nats", *containers.SERVERS, *disks))
