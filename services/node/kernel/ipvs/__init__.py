"""IPVS: virtual services balanced over real servers inside the kernel (net/netfilter/ipvs), masquerading only."""
