"""The pure part of flanneld."""
