"""agnhost, the image of the end-to-end suites: the sub-commands they rely on (kubernetes test/images/agnhost)."""
