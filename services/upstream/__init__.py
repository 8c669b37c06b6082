"""Containers that lead to a port of the developer's own machine."""
