"""What must hold on a VM, as pytest tests, and the reading that they are made of.

Nothing here writes, and nothing here imports ``launcher``.
"""
