"""The judges of a VM: what all checks of one run share, without pytest."""

import os
from functools import cached_property

from invariants.client import Clients
from invariants.finding import Finding
from invariants.folders import alike
from invariants.homes import Homes
from invariants.identity import Identity
from invariants.inventory import inventory_option
from invariants.isolation import Isolation
from invariants.memory import Memory
from invariants.model import Account, Inventory, Session
from invariants.parity import Parity
from invariants.places import Places
from invariants.retention import Retention
from invariants.single_writer import judge_writers
from invariants.strays import Strays, judge_strays
from invariants.targets import Targets


class Judges:
    """An inventory and its judges. Each is made, and looks at the VM, when it is first asked.

    What a judge has read it does not read again, so that all answers are of one look.
    """

    def __init__(self, inventory: Inventory) -> None:
        """Take the inventory; nothing of the VM is looked at."""
        self.inventory = inventory

    @cached_property
    def option(self) -> str:
        """What a pasted ``launcher`` command needs to reach the same inventory."""
        return inventory_option(self.inventory.path, os.environ)

    @cached_property
    def places(self) -> Places:
        """The places of all homes and targets, whichever of them are checked in this run."""
        return Places(self.inventory.accounts, self.inventory.links)

    @cached_property
    def homes(self) -> Homes:
        """The judge of homes."""
        return Homes(self.option, self.places)

    @cached_property
    def targets(self) -> Targets:
        """The judge of targets."""
        return Targets(self.option, self.places)

    @cached_property
    def clients(self) -> Clients:
        """What reads Claude Code's files in the homes."""
        return Clients()

    @cached_property
    def identity(self) -> Identity:
        """The judge of logins."""
        return Identity(self.inventory.accounts, self.clients)

    @cached_property
    def isolation(self) -> Isolation:
        """The judge of the files of logins."""
        return Isolation(self.inventory.accounts)

    @cached_property
    def parity(self) -> Parity:
        """The judge of settings."""
        return Parity(self.inventory.accounts[0], self.clients)

    @cached_property
    def memory(self) -> Memory:
        """The judge of what a session may write in its memory."""
        return Memory(self.inventory, self.clients, os.environ)

    @cached_property
    def retention(self) -> Retention:
        """The judge of how long transcripts live."""
        days = self.inventory.demands.retention_days
        return Retention(self.inventory.accounts, self.clients, days)

    @cached_property
    def alike(self) -> dict[str, list[Session]]:
        """By a folder in ``projects``, the sessions of different directories that have it."""
        return alike(self.inventory.sessions)

    @cached_property
    def writers(self) -> Finding | None:
        """What is wrong with who writes the conversations at this moment."""
        accounts = self.inventory.accounts
        return judge_writers([account for account in accounts if self.reachable(account)])

    @cached_property
    def strays(self) -> Strays:
        """What is wrong with homes that the inventory does not name."""
        user_home = os.path.expanduser("~")
        return judge_strays(self.inventory.accounts, self.inventory.links, user_home)

    def reachable(self, account: Account) -> bool:
        """Return whether anything in an account's home can be judged."""
        fault = self.homes.fault(account)
        return fault is None or not fault.hides_entries
