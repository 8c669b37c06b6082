"""What HTTPS connections become after an upgrade: exec, attach and port-forward over SPDY and WebSocket."""
