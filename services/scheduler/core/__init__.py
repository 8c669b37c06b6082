"""The pure core: a pod and what is known of the nodes go in, a node or the reasons against each come out."""
