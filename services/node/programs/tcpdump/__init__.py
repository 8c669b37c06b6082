"""tcpdump: filters, texts, files and the program."""
