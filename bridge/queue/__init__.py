"""Messages to the workers: task names, the broker, retries and the last runs of periodic jobs."""
