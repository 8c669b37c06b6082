"""Ranges, names, immutability and cross-field rules (kubernetes `pkg/apis/*/validation/validation.go`).

Each validator takes the object, the object before (None on creation) and a collector of field errors.
"""
