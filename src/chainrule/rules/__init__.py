"""The calculus: every primitive and its derivative rules, and nothing else."""
