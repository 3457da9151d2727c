"""Every fix of every state, pasted into a real shell on a VM that is in that state."""
