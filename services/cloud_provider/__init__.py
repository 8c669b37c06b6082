"""The cloud provider: gives Services of type LoadBalancer addresses, and has the gateway lead to machines."""
