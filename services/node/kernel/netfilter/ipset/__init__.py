"""IP sets (ipset(8); the kernel's net/netfilter/ipset): types, elements, membership, and commands."""
