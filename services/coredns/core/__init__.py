"""The pure part of CoreDNS: its Corefile, the records of the cluster, answers to queries."""
