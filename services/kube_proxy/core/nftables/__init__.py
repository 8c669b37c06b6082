"""nftables mode: upstream's table, chains, sets and maps (pkg/proxy/nftables/proxier.go, v1.33)."""
