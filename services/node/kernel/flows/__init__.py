"""The flow cache: what later packets of a flow do is what the first one did, as a byte template.

While an eligible packet walks, its Recording collects the counters it touched, the connections and learned
entries it refreshed, and what bounds the validity of all that. Where the walk ends (a NIC or a socket), the
recording becomes a Flow: new bytes around the old ones, and checksum deltas (RFC 1624).

A hit only adds to the flow's own tallies; `settle` carries them over to the counters before anyone reads those.
Any change of configuration clears the cache. Fragments, IP options and extension headers, ICMP but for echoes, TCP's
SYN, FIN and RST, and traced packets always walk; so does what a `statistic`, `limit`, `recent`, `owner` or LOG rule was
asked about, and what goes through a tunnel of the other family.
"""
