"""Packets of one's own making, from any pod, node or outside, and what became of each.

    from podwire.scripts.inject import Fields, inject_packets

    for result in inject_packets("pod/web", "10.96.45.123:80", Fields(tcp_flags="S", count=3)):
        print(result.fate.kind, result.fate.place, result.fate.reason, result.fate.advice)

In a program that has a Client and a loop of its own: `inject_from`.
"""

from podwire.scripts.inject.api import inject_file, inject_from, inject_packets
from podwire.scripts.inject.fate import Answer, Fate
from podwire.scripts.inject.recipe import Fields
from podwire.scripts.inject.session import Result

__all__ = ["Answer", "Fate", "Fields", "Result", "inject_file", "inject_from", "inject_packets"]
