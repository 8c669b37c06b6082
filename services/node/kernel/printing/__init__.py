"""The texts of ip, bridge, iptables and conntrack, as pure functions of kernel state."""
