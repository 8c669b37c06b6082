"""The controllers: what keeps a cluster as its objects say it should be."""
