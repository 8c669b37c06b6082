"""What machines tell the recorder: the hops of traced packets, and drops."""

from typing import Final, Literal

import msgspec

SCHEMA: Final = 1

type HopKind = Literal[
    "device-transmit",
    "device-receive",
    "bridge",
    "rule",
    "policy",
    "nat",
    "route",
    "neighbour",
    "encapsulate",
    "decapsulate",
    "socket",
    "queue",
    "drop",
]


class Hop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a traced packet inside one machine. `time` is ns, `sequence` orders the hops of a machine.

    `netns` is "" for the host. `rule` counts from 1 in its chain; `rules_passed` counts the rules that were
    tried since the hook began. `before` and `after` are `address:port` of what NAT changed. `owner` says which
    object made the rule (its comment, or what its programmer declared).
    """

    schema: int = SCHEMA
    trace: str
    node: str
    netns: str
    sequence: int
    time: int
    kind: HopKind
    summary: str
    device: str = ""
    hook: str = ""
    table: str = ""
    chain: str = ""
    rule: int = 0
    rule_text: str = ""
    rules_passed: int = 0
    verdict: str = ""
    before: str = ""
    after: str = ""
    outer_source: str = ""
    outer_destination: str = ""
    vni: int = 0
    bytes_added: int = 0
    reason: str = ""
    owner: str = ""
    detail: str = ""


class Drop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One packet that died. `reason` is a name of the kernel's enum skb_drop_reason."""

    schema: int = SCHEMA
    node: str
    netns: str
    time: int
    reason: str
    device: str = ""
    detail: str = ""
    summary: str = ""
