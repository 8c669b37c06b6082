"""The scheduler: gives each pod a node."""
