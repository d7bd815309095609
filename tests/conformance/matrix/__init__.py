"""The inputs of `coordinator render` that the judges are asked about: events, registries, histories."""
