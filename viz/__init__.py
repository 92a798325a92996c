"""Pictures of circuits and of their unfolded graphs."""
