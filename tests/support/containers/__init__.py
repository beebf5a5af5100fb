"""The image and the services of docker-compose.yml, run by Podman."""
