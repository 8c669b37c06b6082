"""Starting, describing and stopping a live cluster."""
