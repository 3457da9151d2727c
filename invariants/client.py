"""What Claude Code keeps in a home about itself: its first start, the trust, the login.

Each file is read at most once a run, and only what the invariants ask for is kept of it: a
`.claude.json` can have megabytes, and there can be a thousand homes. No token is kept at all.
"""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from invariants.documents import Unreadable, read_object
from invariants.model import Account

STATE, LEGACY_STATE = ".claude.json", ".config.json"
CREDENTIALS, SETTINGS = ".credentials.json", "settings.json"

_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
_PROVIDERS = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
_SCOPE = "user:inference"


class ClientState(NamedTuple):
    """What `.claude.json` says. ``exists`` is false where Claude Code was never started.

    ``trusted`` are the directories with a record of trust, ``login`` and ``organization`` are
    the ids of who last logged in there and for whom, ``has_key`` tells whether an API key of a
    login is kept, and ``may_bypass`` whether the warning about its bypass mode was answered.
    """

    name: str
    exists: bool = False
    onboarded: bool = False
    trusted: frozenset[str] = frozenset()
    login: str | None = None
    organization: str | None = None
    has_key: bool = False
    may_bypass: bool = False


class ClientSettings(NamedTuple):
    """What a `settings.json` says, as far as an invariant asks.

    ``days`` is `cleanupPeriodDays` as it stands there, None where it does not; ``bypasses``
    tells whether sessions start in the mode that asks nothing, and ``may_bypass`` whether its
    warning is switched off. ``shared`` holds `hooks` and `permissions`.
    """

    days: object = None
    bypasses: bool = False
    may_bypass: bool = False
    shared: Mapping[str, Any] = {}


class Clients:
    """Reads what Claude Code keeps in homes, each file once."""

    def __init__(self) -> None:
        self._states: dict[str, ClientState | Unreadable] = {}
        self._settings: dict[str, ClientSettings | Unreadable] = {}

    def state(self, account: Account) -> ClientState:
        """Return what the home of *account* says of its client. Raises Unreadable."""
        if account.home not in self._states:
            try:
                self._states[account.home] = _read_state(account.home)
            except Unreadable as error:
                self._states[account.home] = error
        state = self._states[account.home]
        if isinstance(state, Unreadable):
            raise state
        return state

    def settings(self, path: str) -> ClientSettings:
        """Return what the `settings.json` at *path* says; nothing, where there is none.

        Raises Unreadable, where Claude Code would stop and ask what to do about the file.
        """
        if path not in self._settings:
            try:
                self._settings[path] = _read_settings(path)
            except Unreadable as error:
                self._settings[path] = error
        settings = self._settings[path]
        if isinstance(settings, Unreadable):
            raise settings
        return settings


def settings_of(account: Account) -> str:
    """Return where the settings of an account are."""
    return os.path.join(account.home, SETTINGS)


def is_logged_in(account: Account, state: ClientState, environ: Mapping[str, str]) -> bool:
    """Tell whether Claude Code finds anything to authenticate with. Raises Unreadable.

    In the order of what is asked most: the login in `.credentials.json`, the key that a login
    left in `.claude.json`, a helper or a variable of `settings.json`, a variable of *environ*.
    `oauthAccount` alone is no login, and one without the scope that it infers with is none
    (measured: "Not logged in"). Whether the server takes it cannot be told from here.
    """
    if state.has_key or _names_credentials(environ):
        return True
    credentials = read_object(os.path.join(account.home, CREDENTIALS)) or {}
    login = _table(credentials, "claudeAiOauth")
    scopes = login.get("scopes")
    if login.get("accessToken") and isinstance(scopes, list) and _SCOPE in scopes:
        return True
    settings = read_object(settings_of(account), blank=True) or {}
    return bool(settings.get("apiKeyHelper")) or _names_credentials(_table(settings, "env"))


def _names_credentials(variables: Mapping[str, Any]) -> bool:
    if any(variables.get(name) for name in _KEYS):
        return True
    return any(
        str(variables.get(name, "")).lower() in ("1", "true", "yes", "on") for name in _PROVIDERS
    )


def _read_state(home: str) -> ClientState:
    # The name that older versions used goes first where it is there (all versions, measured).
    legacy = os.path.lexists(os.path.join(home, LEGACY_STATE))
    name = LEGACY_STATE if legacy else STATE
    content = read_object(os.path.join(home, name))
    if content is None:
        return ClientState(name)
    projects = _table(content, "projects")
    login = _table(content, "oauthAccount")
    return ClientState(
        name,
        exists=True,
        onboarded=content.get("hasCompletedOnboarding") is True,
        trusted=frozenset(
            path
            for path, record in projects.items()
            if isinstance(record, dict) and record.get("hasTrustDialogAccepted") is True
        ),
        login=_text(login, "accountUuid"),
        organization=_text(login, "organizationUuid"),
        has_key=bool(content.get("primaryApiKey")),
        may_bypass=content.get("bypassPermissionsModeAccepted") is True,
    )


def _read_settings(path: str) -> ClientSettings:
    content = read_object(path, blank=True) or {}
    return ClientSettings(
        days=content.get("cleanupPeriodDays"),
        bypasses=_table(content, "permissions").get("defaultMode") == "bypassPermissions",
        may_bypass=content.get("skipDangerousModePermissionPrompt") is True,
        shared={key: content[key] for key in ("hooks", "permissions") if content.get(key)},
    )


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) and value else None


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}
