"""The API server as components reach it: requests and watches over the bus."""
