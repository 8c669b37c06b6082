"""A rolling update under constant load while the network's components die: requests, what the log says, fates."""
