"""The controllers' settings."""

from podwire.services.chassis.settings import ProcessSettings


class ControllersSettings(ProcessSettings, frozen=True, kw_only=True):
    """`root_ca_file` is what pods verify the API server with, PEM ("" in simulations, which have no TLS); Kubernetes'
    own delays are not settings here."""

    root_ca_file: str = ""
