"""The pure part of kube-proxy: from objects to service ports, from service ports to rules."""
