"""The API server: Kubernetes' HTTP API over the event log."""
