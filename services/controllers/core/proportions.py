"""How a change of a Deployment's replicas in the middle of a roll-over is shared among its ReplicaSets.

Source: kubernetes `pkg/controller/deployment/sync.go` (scale), `util/deployment_util.go` (GetReplicaSetProportion).
"""

from typing import NamedTuple


class Share(NamedTuple):
    """One active ReplicaSet, oldest first among its siblings: its size, and the maximum it was made for."""

    name: str
    replicas: int
    maximum: int


def sizes(shares: list[Share], replicas: int, surge: int) -> dict[str, int]:
    """The new size of each: as its part of the whole was, what is left over to the largest."""
    allowed = replicas + surge if replicas > 0 else 0
    to_add = allowed - sum(share.replicas for share in shares)
    ages = {share.name: age for age, share in enumerate(shares)}
    newer_first = -1 if to_add > 0 else 1
    ranked = sorted(shares, key=lambda share: (-share.replicas, newer_first * ages[share.name]))
    found: dict[str, int] = {}
    added = 0
    for share in ranked:
        part = _part(share, replicas, surge, to_add - added) if to_add else 0
        found[share.name] = share.replicas + part
        added += part
    if ranked and to_add:
        first = ranked[0].name
        found[first] = max(0, found[first] + to_add - added)
    return found


def _part(share: Share, replicas: int, surge: int, left: int) -> int:
    """What one ReplicaSet gains (or loses, below zero) of what is left to share out."""
    if share.replicas == 0 or left == 0:
        return 0
    if replicas == 0:
        fraction = -share.replicas
    else:
        whole = max(1, share.maximum)
        fraction = (2 * share.replicas * (replicas + surge) + whole) // (2 * whole) - share.replicas
    return min(fraction, left) if left > 0 else max(fraction, left)
