"""ip and bridge (iproute2)."""
