"""The kubelet: makes one machine run the pods that are bound to it, and reports."""
