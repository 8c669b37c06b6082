"""A user's own ASGI application, served as a container of a pod."""
