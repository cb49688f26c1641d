"""Training on several processes, and on several machines: the only folder that knows Ray Train."""
