"""What Claude Code keeps in a home about itself: its first start, the trust, the login.

Each file is read at most once a run, and only what the invariants ask for is kept of it: a
`.claude.json` can have megabytes, and there can be a thousand homes. Of a token no more is kept
than a mark to compare it by.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from invariants.digests import hexdigest
from invariants.documents import Unreadable, read_object
from invariants.inputs import Input, Part
from invariants.model import Account, Session
from invariants.trust import trust_keys

STATE, LEGACY_STATE = ".claude.json", ".config.json"
CREDENTIALS, SETTINGS = ".credentials.json", "settings.json"
MANAGED = "/etc/claude-code"
"""Where the machine's managed settings are: ``managed-settings.json``, ``managed-settings.d``."""

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
PROVIDERS = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
_SCOPE = "user:inference"
_TOKENS = ("accessToken", "refreshToken")


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
    warning is switched off. ``authenticates`` tells whether a helper, a key or a provider is
    named. ``shared`` holds `hooks` and `permissions`. ``only_managed_rules`` tells whether, in the
    managed settings, no rules count but theirs.
    """

    days: object = None
    bypasses: bool = False
    may_bypass: bool = False
    authenticates: bool = False
    shared: Mapping[str, Any] = {}
    only_managed_rules: bool = False


class ClientLogin(NamedTuple):
    """What `.credentials.json` says of a login.

    ``works`` tells whether it has a token and the scope that Claude Code infers with; whether the
    server takes it cannot be told from here. ``marks`` are digests of its tokens: equal where two
    homes have the very same one. They leave no process but as digests of digests.
    """

    works: bool = False
    marks: frozenset[str] = frozenset()


class Clients:
    """Reads what Claude Code keeps in homes, and the machine's managed settings; each file once."""

    def __init__(self, managed: str = MANAGED) -> None:
        """Take the directory of the managed settings."""
        self._managed_settings = os.path.join(managed, "managed-settings")
        self._states: dict[str, ClientState | Unreadable] = {}
        self._settings: dict[str, ClientSettings | Unreadable] = {}
        self._logins: dict[str, ClientLogin | Unreadable] = {}
        self._managed: list[str] | None = None
        self._keys: dict[str, list[str] | OSError] = {}

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
                self._settings[path] = Unreadable(str(error), path)
        settings = self._settings[path]
        if isinstance(settings, Unreadable):
            raise settings
        return settings

    def login(self, account: Account) -> ClientLogin:
        """Return what the home of *account* keeps of its login. Raises Unreadable."""
        if account.home not in self._logins:
            try:
                self._logins[account.home] = _read_login(account.home)
            except Unreadable as error:
                self._logins[account.home] = error
        login = self._logins[account.home]
        if isinstance(login, Unreadable):
            raise login
        return login

    def managed(self) -> list[str]:
        """Return the paths of the machine's managed settings, the one that counts most first.

        They win over all other settings; of several the last by name does. Raises Unreadable.
        """
        if self._managed is None:
            directory = f"{self._managed_settings}.d"
            try:
                names = sorted(os.listdir(directory), reverse=True)
            except (FileNotFoundError, NotADirectoryError):
                names = []
            except OSError as error:
                reason = f"{os.path.basename(directory)} is unreadable: {error.strerror}"
                raise Unreadable(reason, directory) from error
            parts = [name for name in names if name.endswith(".json") and name[0] != "."]
            own = [os.path.join(directory, name) for name in parts]
            self._managed = [*own, f"{self._managed_settings}.json"]
        return self._managed

    def trust_keys(self, directory: str) -> list[str]:
        """Return what :func:`invariants.trust.trust_keys` does. Raises what it raises."""
        if directory not in self._keys:
            try:
                self._keys[directory] = trust_keys(directory)
            except OSError as error:
                self._keys[directory] = error
        keys = self._keys[directory]
        if isinstance(keys, OSError):
            raise keys
        return keys


def project_settings(session: Session) -> list[str]:
    """Return the settings of a session's project; the first that says something wins."""
    names = ("settings.local.json", "settings.json")
    return [os.path.join(session.directory, ".claude", name) for name in names]


def managed_inputs(part: Part) -> Iterator[Input]:
    """Yield the machine's managed settings, of which *part* counts, with all drop-ins there are."""
    directory = os.path.join(MANAGED, "managed-settings.d")
    yield Input(os.path.join(MANAGED, "managed-settings.json"), part, content=True)
    yield Input(directory, part, names=True)
    with suppress(OSError):
        for name in sorted(os.listdir(directory)):
            yield Input(os.path.join(directory, name), part, content=True)


def states_of(account: Account) -> tuple[str, ...]:
    """Return where Claude Code may keep the state of an account; the first that is there counts."""
    return tuple(os.path.join(account.home, name) for name in (LEGACY_STATE, STATE))


def state_beside(account: Account) -> str | None:
    """Return where Claude Code keeps the state of a home called `.claude` by default, if it is one.

    Without `CLAUDE_CONFIG_DIR` that is a file beside the home; with it, it is not read (measured).
    """
    above, name = os.path.split(account.home)
    return os.path.join(above, STATE) if name == ".claude" else None


def settings_of(account: Account) -> str:
    """Return where the settings of an account are."""
    return os.path.join(account.home, SETTINGS)


def is_logged_in(
    account: Account, clients: Clients, environ: Mapping[str, str], *settings: str
) -> bool:
    """Tell whether Claude Code finds anything to authenticate with. Raises Unreadable.

    In the order of what is asked most: the login in `.credentials.json`, the key that a login
    left in `.claude.json`, a variable of *environ*, a helper or a variable of `settings.json`,
    of the managed settings and of the further *settings*, which are paths.
    `oauthAccount` alone is no login, and one without the scope that it infers with is none
    (measured: "Not logged in"). Whether the server takes it cannot be told from here.
    """
    if _names_credentials(environ) or clients.state(account).has_key:
        return True
    if clients.login(account).works:
        return True
    places = (settings_of(account), *clients.managed(), *settings)
    return any(clients.settings(path).authenticates for path in places)


def _names_credentials(variables: Mapping[str, Any]) -> bool:
    if any(variables.get(name) for name in KEYS):
        return True
    return any(
        str(variables.get(name, "")).lower() in ("1", "true", "yes", "on") for name in PROVIDERS
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


def _read_login(home: str) -> ClientLogin:
    content = read_object(os.path.join(home, CREDENTIALS)) or {}
    login = _table(content, "claudeAiOauth")
    tokens = [token.strip() for name in _TOKENS if (token := _text(login, name)) is not None]
    scopes = login.get("scopes")
    has_token = bool((_text(login, "accessToken") or "").strip())
    return ClientLogin(
        works=has_token and isinstance(scopes, list) and _SCOPE in scopes,
        marks=frozenset(
            hexdigest(token.encode("utf-8", "surrogatepass")) for token in tokens if token
        ),
    )


def _read_settings(path: str) -> ClientSettings:
    content = read_object(path, blank=True) or {}
    return ClientSettings(
        days=content.get("cleanupPeriodDays"),
        bypasses=_table(content, "permissions").get("defaultMode") == "bypassPermissions",
        may_bypass=content.get("skipDangerousModePermissionPrompt") is True,
        authenticates=bool(content.get("apiKeyHelper"))
        or _names_credentials(_table(content, "env")),
        shared={key: content[key] for key in ("hooks", "permissions") if content.get(key)},
        only_managed_rules=content.get("allowManagedPermissionRulesOnly") is True,
    )


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) and value else None


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}
