"""The Ansible role on machines that boot; see deploy/ansible."""
