"""The pytest plugin: simulated clusters as fixtures of users' tests. As commands do, it may import everything."""
