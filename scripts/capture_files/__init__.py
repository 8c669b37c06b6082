"""Capture files: pcap and pcapng, read from strangers and written for Wireshark."""
