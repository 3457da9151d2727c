"""The formats of ``status``, each on every kind of report that there is."""
