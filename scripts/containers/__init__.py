"""A cluster whose processes are containers: what `docker compose up` starts from the folder compose/."""
