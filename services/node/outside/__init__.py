"""The world outside of the cluster: a host at the gateway's address on the machines' segment."""
