"""The composition root: names in the configuration become objects, and nowhere else."""
