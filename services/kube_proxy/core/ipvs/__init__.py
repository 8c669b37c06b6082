"""ipvs mode: upstream's virtual services, sets and rules (pkg/proxy/ipvs/proxier.go, v1.33)."""
