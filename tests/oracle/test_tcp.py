"""Our TCP says what Linux's says, segment by segment: flags, sequence and acknowledgement numbers, lengths.

Windows and options are not compared: podwire has no SACK and no timestamps (docs/fidelity.md).
"""

import random

import pytest
from tests.oracle.conversations import POINTS, TOPOLOGY, Conversation, LinuxHost, PodwireHost
from tests.oracle.worlds import LinuxWorld, PodwireWorld, why_not

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]

OPEN = ["listen", "< S 0 mss 1000", "< . 1 ack 1", "accept"]
SCRIPTS = {
    "handshake and data": [*OPEN, "< P. 1+100 ack 1", "read", "write 200", "< . 101 ack 201", "read"],
    "closed port: SYN": ["< S 0"],
    "closed port: ACK": ["< . 5 ack 9"],
    "closed port: FIN with data": ["< F 5+10"],
    "closed port: RST": ["< R 5"],
    "listener: ACK": ["listen", "< . 5 ack 9"],
    "listener: RST": ["listen", "< R 5"],
    "listener: FIN": ["listen", "< F 5"],
    "listener: no flags": ["listen", "< U 5"],
    "SYN twice": ["listen", "< S 0 mss 1000", "< S 0 mss 1000"],
    "SYN-RECEIVED: wrong ACK": ["listen", "< S 0", "< . 1 ack 77"],
    "SYN-RECEIVED: RST": ["listen", "< S 0", "< R 1", "< . 1 ack 1"],
    "SYN-RECEIVED: RST out of window": ["listen", "< S 0", "< R 99999999", "< . 1 ack 1", "accept"],
    "SYN-RECEIVED: FIN": ["listen", "< S 0", "< F. 1 ack 1", "accept", "read"],
    "SYN-RECEIVED: data with the ACK": ["listen", "< S 0", "< P. 1+50 ack 1", "accept", "read"],
    "hole and filling": [*OPEN, "< . 101+100 ack 1", "read", "< . 1+100 ack 1", "read"],
    "two holes": [*OPEN, "< . 201+100 ack 1", "< . 401+100 ack 1", "< . 1+200 ack 1", "< . 301+100 ack 1", "read"],
    "duplicate": [*OPEN, "< . 1+100 ack 1", "< . 1+100 ack 1", "read", "read"],
    "overlap": [*OPEN, "< . 1+100 ack 1", "< . 51+100 ack 1", "read"],
    "old segment": [*OPEN, "< . 1+100 ack 1", "< . -5000+100 ack 1"],
    "beyond the window": [*OPEN, "< . 90000000+100 ack 1", "read"],
    "SYN in ESTABLISHED": [*OPEN, "< S 500"],
    "SYN-ACK in ESTABLISHED": [*OPEN, "< S. 1 ack 1"],
    "RST exact": [*OPEN, "< R 1", "read", "write 5"],
    "RST inside the window": [*OPEN, "< R 100", "read"],
    "RST outside the window": [*OPEN, "< R 90000000", "read"],
    "RST with unread data": [*OPEN, "< . 1+10 ack 1", "< R 11", "read", "read"],
    "ACK of what was never sent": [*OPEN, "< . 1 ack 5000"],
    "very old ACK": [*OPEN, "write 100", "< . 1 ack -99999999"],
    "no ACK flag": [*OPEN, "< P 1+10", "read"],
    "window of zero": [*OPEN, "< . 1 ack 1 win 0", "write 100", "< . 1 ack 1 win 1000"],
    "small window": [*OPEN, "< . 1 ack 1 win 50", "write 200", "< . 1 ack 51 win 50", "< . 1 ack 101 win 500"],
    "segments of the peer's MSS": [*OPEN, "write 2500", "< . 1 ack 1001", "< . 1 ack 2501"],
    "passive close": [*OPEN, "< F. 1 ack 1", "read", "write 10", "< . 2 ack 11", "close", "< . 2 ack 12"],
    "active close": [*OPEN, "close", "< . 1 ack 2", "< F. 1 ack 2", "< F. 1 ack 2"],
    "simultaneous close": [*OPEN, "close", "< F. 1 ack 1", "< . 2 ack 2"],
    "FIN and ACK at once": [*OPEN, "close", "< F. 1 ack 2"],
    "half close": [*OPEN, "shutdown", "< . 1 ack 2", "< . 1+100 ack 2", "read", "< F. 101 ack 2", "read"],
    "FIN with data": [*OPEN, "< F. 1+30 ack 1", "read", "read"],
    "data after FIN": [*OPEN, "< F. 1 ack 1", "< . 2+10 ack 1", "read"],
    "FIN before a hole is filled": [*OPEN, "< F. 101 ack 1", "read", "< . 1+100 ack 1", "read", "read"],
    "FIN twice": [*OPEN, "< F. 1 ack 1", "< F. 1 ack 1"],
    "close with unread data": [*OPEN, "< . 1+10 ack 1", "close", "< . 11+10 ack 1"],
    "data after close": [*OPEN, "close", "< . 1 ack 2", "< . 1+10 ack 2"],
    "RST in FIN-WAIT-1": [*OPEN, "close", "< R 1", "< . 1 ack 2"],
    "RST in CLOSE-WAIT": [*OPEN, "< F. 1 ack 1", "< R 2", "read", "write 5"],
    "write after the peer's FIN and RST": [*OPEN, "< F. 1 ack 1", "write 10", "< R 2", "write 10"],
    "SYN in TIME-WAIT": [*OPEN, "close", "< F. 1 ack 2", "< S 100000 mss 1000", "< . 100001 ack 1"],
    "old SYN in TIME-WAIT": [*OPEN, "close", "< F. 1 ack 2", "< S -100"],
    "backlog": ["listen 1", "< S 0", "< . 1 ack 1"],
    "SYN and FIN": ["listen", "< SF 0"],
    "SYN and RST": ["listen", "< SR 0"],
    "SYN with data": ["listen", "< S 0+20", "< . 1+20 ack 1", "accept", "read"],
    "triple duplicate ACK": [
        *OPEN,
        "write 1000",
        "< . 1 ack 1001",
        "write 4000",
        "< . 1 ack 1001",
        "< . 1 ack 1001",
        "< . 1 ack 1001",
        "< . 1 ack 5001",
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_conversation(name: str) -> None:
    theirs = LinuxWorld()
    host = LinuxHost(theirs)
    try:
        ours = PodwireWorld(random.Random(1))
        for world in (ours, theirs):
            world.build(TOPOLOGY, POINTS)
        wanted = Conversation(theirs, host).play(SCRIPTS[name])
        got = Conversation(ours, PodwireHost(ours)).play(SCRIPTS[name])
        assert got == wanted
    finally:
        host.release()
        theirs.close()
