"""nftables: tables of chains of rules with sets, maps and verdict maps (nft(8); Linux net/netfilter/nf_tables_*.c)."""
