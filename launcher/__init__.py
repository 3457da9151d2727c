"""What acts on a verdict: the gate, the report, provisioning and sessions."""

__version__ = "0.1.0"
