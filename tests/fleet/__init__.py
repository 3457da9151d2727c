"""Many VMs: reports as they may have been fetched, and what is told of them."""
