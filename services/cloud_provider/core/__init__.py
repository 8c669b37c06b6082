"""What the cloud provider decides: which address a Service has, and which machine takes its packets."""
