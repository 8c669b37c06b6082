"""flanneld: makes pod subnets reachable across nodes through a VXLAN tunnel."""
