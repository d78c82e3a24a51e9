"""Data sets: CSV manifests, synthesised sounds, the layouts of publishers."""
