"""A SOCKS5 proxy into the cluster: names resolve through CoreDNS, connections enter through a node."""
