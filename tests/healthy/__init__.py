"""Healthy VMs, each with what makes it special: what works today stays green."""
