"""kube-proxy: turns Services and EndpointSlices into rules of one node's kernel."""
