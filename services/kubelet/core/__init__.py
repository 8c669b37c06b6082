"""The pure part of the kubelet: what to do for a pod, and what to report."""
