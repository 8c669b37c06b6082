"""Netfilter: tables, chains, matches and targets, and the text that programs them."""
