"""The measurements, each a program of its own: ``make bench``, or one by one."""
