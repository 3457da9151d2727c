"""The listener: what it answers, to whom, and what it cannot be made to do."""
