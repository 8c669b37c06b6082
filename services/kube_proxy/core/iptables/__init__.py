"""iptables mode: upstream's chains, rules and order (pkg/proxy/iptables/proxier.go, v1.33)."""
