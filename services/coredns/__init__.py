"""CoreDNS: the cluster's names, answered from Services and EndpointSlices."""
