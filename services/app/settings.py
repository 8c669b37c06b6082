"""The settings of a process that serves a user's application."""

from podwire.services.chassis.settings import ProcessSettings


class AppSettings(ProcessSettings, frozen=True, kw_only=True):
    """`image` is the name under which its containers are offered, `application` is `module:attribute`, `folder` is
    where modules are looked for first."""

    image: str
    application: str
    folder: str = ""
