"""Messages to the workers: task names, the broker, retries and the heartbeats of periodic jobs."""
