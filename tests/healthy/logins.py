"""VMs that are special by how their accounts are logged in, and by what was said in them."""

from __future__ import annotations

import json

from tests import client
from tests.healthy.collection import healthy
from tests.healthy.world import World


def _with_claude(world: World) -> None:
    world.session = {"work": [str(client.install(world.vm))]}
    world.write()


def _log_out(world: World, account: str) -> None:
    (world.vm.home(account) / ".credentials.json").unlink()


@healthy
def session_in_which_nobody_has_said_anything(world: World) -> None:
    _with_claude(world)


@healthy
def api_key_instead_of_a_login(world: World) -> None:
    _with_claude(world)
    for account in world.vm.accounts:
        _log_out(world, account)
    world.vm.environ["ANTHROPIC_API_KEY"] = "key-of-nobody"
    world.vm.write(world.session, session_keys='pass_environment = ["ANTHROPIC_API_KEY"]')


@healthy
def helper_instead_of_a_login(world: World) -> None:
    _with_claude(world)
    for account in world.vm.accounts:
        _log_out(world, account)
        settings = world.vm.home(account) / "settings.json"
        settings.write_text(json.dumps({"apiKeyHelper": "/bin/echo key-of-nobody"}))
        settings.chmod(0o600)


@healthy
def spare_account_that_is_logged_out(world: World) -> None:
    _with_claude(world)
    _log_out(world, "backup")
