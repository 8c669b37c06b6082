"""Kubernetes' protobuf: wire format, messages, and the envelope that bodies and answers come in."""
