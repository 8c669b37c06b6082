"""Sockets: UDP, ping and TCP endpoints inside network namespaces."""
