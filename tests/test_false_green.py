"""Ways in which a gate on pytest says green although an invariant does not hold.

Each row is run end to end, with each verb that publishes green or acts on it: a VM with one
divergent link and an old green report; ``code`` is what the launcher has to say. The column
``naive`` is what the naive gate (``pytest.main() == 0``) says in the same surroundings: ``make
thorough`` measures it.
"""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from invariants.folders import folder_of
from launcher.processes import identify
from tests import client
from tests.attack import HANGS_SECONDS, Attack, kill, limits
from tests.environment import Environment
from tests.healthy.world import acl
from tests.patching import patch
from tests.places import place
from tests.vm import CHECKOUT, UNPRIVILEGED, Vm, wait_until

RED, UNKNOWN, CONFIG = 1, 70, 78

Setup = Callable[[Attack], object]


class Row(NamedTuple):
    """One way: its name, what the naive gate says, the launcher's exit code, how it is done."""

    name: str
    naive: str
    code: int
    setup: Setup


def variable(name: str, value: str) -> Setup:
    return lambda attack: attack.environ.update({name: value})


def addopts(options: str) -> Setup:
    return variable("PYTEST_ADDOPTS", options)


def plugin(text: str, **more: str) -> Setup:
    def setup(attack: Attack) -> None:
        attack.evil("evil.py", text)
        attack.environ.update({"PYTEST_PLUGINS": "evil", **more})

    return setup


def deployed(name: str, change: str | Callable[[str], str] | None) -> Setup:
    return lambda attack: attack.deploy({name: change})


def body(text: str, name: str = "test_links.py") -> Setup:
    """Put a line at the start of every test of a module."""
    firsts = {"test_links.py": "    if not vm.reachable", "test_homes.py": "    fault = vm.homes"}
    first = firsts[name]
    return deployed(
        f"invariants/{name}", lambda source: source.replace(first, f"    {text}\n{first}")
    )


def decorated(decorator: str) -> Setup:
    return deployed(
        "invariants/test_links.py",
        lambda source: source.replace("def test_", f"import pytest\n{decorator}\ndef test_"),
    )


PASS_ALL = """
import pytest
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.outcome = "passed"
    return report
"""
DESELECT = """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "links" not in item.nodeid]
"""
SUCCEED = """
import pytest
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    session.exitstatus = 0
"""
EXIT = "import os\ndef pytest_collection_finish(session): os._exit(0)\n"
IGNORE = "collect_ignore_glob = ['**/test_links.py', 'test_links.py']\n"
ENTRY_POINT = "[pytest11]\nevil = evil\n"
METADATA = "Metadata-Version: 2.1\nName: evil\nVersion: 1\n"


def installed_plugin(attack: Attack) -> None:
    directory = attack.evil("evil.py", PASS_ALL)
    attack.evil("evil-1.dist-info/entry_points.txt", ENTRY_POINT)
    (directory / "evil-1.dist-info" / "METADATA").write_text(METADATA)


def user_site(attack: Attack) -> None:
    installed_plugin(attack)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = attack.vm.user_home / ".local" / "lib" / version / "site-packages"
    shutil.copytree(attack.environ.pop("PYTHONPATH"), site)


def poisoned_bytecode(attack: Attack) -> None:
    """Let a bytecode cache hold a test that passes, under the real file's time, size and hash."""
    source = CHECKOUT / "invariants" / "test_links.py"
    status, folder = source.stat(), attack.vm.root / "cache" / source.parent.relative_to("/")
    folder.mkdir(parents=True)
    code = marshal.dumps(compile(f"{NO_TEST}(account, link): pass\n", str(source), "exec"))
    stamp = struct.pack("<LLL", 0, int(status.st_mtime), status.st_size)
    hashed = struct.pack("<L", 3) + importlib.util.source_hash(source.read_bytes())
    for suffix, check in (("", stamp), (f"-pytest-{pytest.__version__}", hashed)):
        name = f"{source.stem}.{sys.implementation.cache_tag}{suffix}.pyc"
        (folder / name).write_bytes(importlib.util.MAGIC_NUMBER + check + code)
    attack.environ["PYTHONPYCACHEPREFIX"] = str(attack.vm.root / "cache")


def another_copy(attack: Attack) -> None:
    """Let PYTHONPATH lead to a copy whose link check was emptied."""
    attack.deploy(
        {
            "invariants/test_links.py": lambda s: s.replace(
                "    if not vm.", "    return\n    if not vm."
            )
        }
    )
    attack.environ["PYTHONPATH"] = str(attack.code)
    attack.cwd = attack.vm.root
    shutil.rmtree(attack.code / "launcher")


def configuration(name: str, text: str) -> Setup:
    return deployed(name, text)


def beside_the_inventory(name: str, text: str) -> Setup:
    def setup(attack: Attack) -> None:
        (attack.vm.root / name).write_text(text)

    return setup


def above_the_program(name: str, text: str) -> Setup:
    def setup(attack: Attack) -> None:
        attack.deploy({})
        (attack.code.parent / name).write_text(text)

    return setup


def replaced_report(make: Callable[[Path], object]) -> Setup:
    def setup(attack: Attack) -> None:
        attack.vm.report_path.unlink()
        make(attack.vm.report_path)

    return setup


def report_at(path: str) -> Setup:
    def setup(attack: Attack) -> None:
        attack.report_path = Path(path.format(root=attack.vm.root))
        attack.write(report=str(attack.report_path))

    return setup


def linked_to_an_old_green(path: Path) -> None:
    far = path.parent.parent / "far.json"
    far.write_text('{"failover": {"schema": 1, "verdict": "green"}}')
    path.symlink_to(far)


def directory_without_writing(attack: Attack) -> None:
    (attack.vm.state / "lock").touch(mode=0o600)
    attack.vm.state.chmod(0o500)
    attack.prefix = UNPRIVILEGED


def full_disk(attack: Attack) -> None:
    """Let the report's directory be on a file system of its own without a free byte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    report = attack.vm.report_path
    script = (
        f"rm -f {attack.vm.root}/seen; cp {report} {attack.vm.root}/old"
        f" && mount -t tmpfs -o size=16k none {report.parent}"
        f" && cp {attack.vm.root}/old {report}; cat /dev/zero > {report.parent}/filler 2>&1;"
        f' "$@"; code=$?; cp {report} {attack.vm.root}/seen 2>&1; exit $code'
    )
    attack.prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    attack.report_path = attack.vm.root / "seen"


def output_to(path: str) -> Setup:
    def setup(attack: Attack) -> None:
        attack.prefix = ["sh", "-c", f'exec "$@" >{path}', "sh"]

    return setup


def closed(*descriptors: int) -> Setup:
    closing = " ".join(f"{number}<&-" for number in descriptors)

    def setup(attack: Attack) -> None:
        attack.prefix = ["sh", "-c", f'exec "$@" {closing}', "sh"]

    return setup


BREAK_PIPE = """
import os, sys
reader, writer = os.pipe()
os.close(reader)
os.dup2(writer, 1)
os.dup2(writer, 2)
os.execv(sys.argv[1], sys.argv[1:])
"""


def broken_pipe(attack: Attack) -> None:
    """Let whoever reads the output be gone already."""
    attack.prefix = [sys.executable, "-c", BREAK_PIPE]


def never_ends(attack: Attack) -> None:
    body("import time; time.sleep(999)")(attack)
    attack.write(timeout=2)


def half_installed(attack: Attack) -> None:
    """Let the environment hold everything but pytest-json-report."""
    venv = attack.vm.root / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    for package in Path(pytest.__file__).parents[1].iterdir():
        if "json" not in package.name and package.name != "__pycache__":
            (site / package.name).symlink_to(package)
    attack.deploy({})
    attack.prefix = ["sh", "-c", f'shift; exec {venv}/bin/python "$@"', "sh"]


def at_the_start(code: str, name: str = "zz_evil.pth") -> Setup:
    """Have the interpreter of the launcher's environment run *code* whenever it starts."""

    def setup(attack: Attack) -> None:
        environment = Environment(attack.vm.root / "environment")
        environment.at_start(code, name)
        attack.prefix = ["sh", "-c", f'shift; exec {environment.python} "$@"', "sh"]

    return setup


def inventory_text(change: Callable[[str], str]) -> Setup:
    def setup(attack: Attack) -> None:
        attack.vm.inventory.write_text(change(attack.vm.inventory.read_text()))

    return setup


def at_the_default_place(change: Callable[[str], str | None]) -> Setup:
    """Spoil an inventory so that it no longer tells where its report is: at the default place."""

    def setup(attack: Attack) -> None:
        attack.report_path = attack.vm.user_home / ".local/state/claude-failover/report.json"
        attack.publish_an_old_green()
        text = change(attack.vm.inventory.read_text())
        attack.vm.inventory.unlink() if text is None else attack.vm.inventory.write_text(text)

    return setup


def mend(attack: Attack) -> None:
    """Make the VM right, for a row that breaks it in a way of its own."""
    backup = attack.vm.entry("backup", "projects")
    backup.unlink()
    backup.symlink_to(attack.vm.target("projects"))


def link_breaks_behind_its_check(attack: Attack) -> None:
    mend(attack)
    entry = attack.vm.entry("primary", "projects")
    unlink = f"    if os.path.islink({str(entry)!r}): os.unlink({str(entry)!r})"
    change = f"    import os\n{unlink}\n    fault = "
    attack.deploy({"invariants/test_targets.py": lambda s: s.replace("    fault = ", change)})


WAITS = '''\
import os, time

def test_waits():
    """It takes its time."""
    open({reached!r}, "w").close()
    while not os.path.exists({go!r}):
        time.sleep(0.01)
    assert os.path.exists({go!r})
'''


def link_breaks_beside_an_own_invariant(attack: Attack) -> None:
    """Let the operator's own invariants take their time, and the link break meanwhile."""
    mend(attack)
    reached, go, own = (attack.vm.root / name for name in ("reached", "go", "own"))
    own.mkdir(mode=0o755)
    (own / "test_waits.py").write_text(WAITS.format(reached=str(reached), go=str(go)))
    attack.write(invariants=[str(own)])

    def during(process: subprocess.Popen[bytes]) -> None:
        wait_until(lambda: reached.exists() or process.poll() is not None, "it waits")
        attack.vm.diverge()
        go.touch()

    attack.during = during


def mounted(option: str) -> Setup:
    """Mount the home of primary over itself with *option*; its links and the targets are right."""

    def setup(attack: Attack) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can mount a file system")
        mend(attack)
        home = attack.vm.home("primary")
        script = f'mount --bind {home} {home} && mount -o remount,bind,{option} {home} && exec "$@"'
        attack.prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]

    return setup


def folder_that_cannot_be_written(attack: Attack) -> None:
    """Let a Claude Code have a file in the place of the folder that its transcripts go to."""
    mend(attack)
    program = client.install(attack.vm)
    mark = f"touch {attack.started}"
    patch(program, "#!/bin/sh\n", f"#!/bin/sh\n{mark}\n")
    attack.vm.write({"api": [str(program)]})
    (attack.vm.target("projects") / str(folder_of(str(attack.vm.root)))).touch()


def future_report(attack: Attack) -> None:
    text = attack.vm.report_path.read_text()
    attack.vm.report_path.write_text(text.replace("2.0", "99999999999.0"))
    os.utime(attack.vm.report_path, (2**33, 2**33))


def working_directory(name: str, text: str) -> Setup:
    def setup(attack: Attack) -> None:
        attack.cwd = attack.vm.root / "cwd"
        attack.cwd.mkdir()
        (attack.cwd / name).write_text(text)

    return setup


def gone_working_directory(attack: Attack) -> None:
    gone = attack.vm.root / "gone"
    attack.prefix = ["sh", "-c", f'mkdir -p {gone} && cd {gone} && rmdir {gone} && exec "$@"', "sh"]


def own_file(text: str) -> Setup:
    """Let all links be right, and an own invariant be what does not hold."""

    def setup(attack: Attack) -> None:
        entry = attack.vm.entry("backup", "projects")
        entry.unlink()
        entry.symlink_to(attack.vm.target("projects"))
        directory = attack.vm.root / "own"
        directory.mkdir(mode=0o700)
        (directory / "test_own.py").write_text(text)
        (directory / "test_own.py").chmod(0o600)
        attack.write(invariants=[str(directory)])

    return setup


def own_body(body: str) -> Setup:
    return own_file(f"import pytest\n\ndef test_own(link):\n    {body}\n")


OWN = "def test_own(link):\n    assert link.target == '/x'\n\n"
NO_TEST = "def test_link_is_shared"

ROWS = [
    # variables that pytest listens to
    Row("addopts: collect only", "green", RED, addopts("--collect-only")),
    Row("addopts: setup plan", "green", RED, addopts("--setup-plan")),
    Row("addopts: setup only", "green", RED, addopts("--setup-only")),
    Row("addopts: help", "green", RED, addopts("--help")),
    Row("addopts: version", "red", RED, addopts("--version")),
    Row("addopts: markers", "green", RED, addopts("--markers")),
    Row("addopts: fixtures", "green", RED, addopts("--fixtures")),
    Row("addopts: -k", "green", RED, addopts("-k primary")),
    Row("addopts: deselect", "green", RED, addopts("--deselect invariants/test_links.py")),
    Row("addopts: ignore", "red", RED, addopts("--ignore-glob=*test_links.py")),
    Row("addopts: maxfail", "red", RED, addopts("--maxfail=1")),
    Row("addopts: no terminal", "none", RED, addopts("-p no:terminal")),
    Row("addopts: nonsense", "none", RED, addopts("--no-such-option")),
    Row("plugin rewrites outcomes", "green", RED, plugin(PASS_ALL)),
    Row("plugin deselects", "green", RED, plugin(DESELECT)),
    Row("plugin sets the exit status", "green", RED, plugin(SUCCEED)),
    Row("plugin ends the process", "green", RED, plugin(EXIT)),
    Row(
        "plugin by addopts",
        "green",
        RED,
        plugin(PASS_ALL, PYTEST_PLUGINS="", PYTEST_ADDOPTS="-p evil"),
    ),
    Row("plugin is installed", "green", RED, installed_plugin),
    Row("no plugins by variable", "none", RED, variable("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")),
    # variables that Python listens to
    Row("python -O", "red", RED, variable("PYTHONOPTIMIZE", "2")),
    Row("warnings are errors", "red", RED, variable("PYTHONWARNINGS", "error")),
    Row(
        "a pytest of another's", "green", RED, lambda a: a.evil("pytest.py", "main = lambda a: 0\n")
    ),
    Row(
        "sitecustomize",
        "green",
        RED,
        lambda a: a.evil("sitecustomize.py", "import os; os.environ['PYTEST_ADDOPTS'] = '--co'\n"),
    ),
    Row("user site", "red", RED, user_site),
    Row(
        "options by a .pth file",
        "green",
        RED,
        at_the_start("import os; os.environ['PYTEST_ADDOPTS'] = '--collect-only'"),
    ),
    Row(
        "a plugin by a .pth file",
        "green",
        RED,
        at_the_start("import os; os.environ['PYTEST_PLUGINS'] = 'evil_plugin'"),
    ),
    Row(
        "another pytest by a .pth file",
        "green",
        RED,
        at_the_start("import sys; sys.path.insert(0, 'EVIL/pytest-of-anothers')"),
    ),
    Row(
        "sitecustomize of the environment",
        "green",
        RED,
        at_the_start("import os\nos.environ['PYTEST_ADDOPTS'] = '-k home'", "sitecustomize.py"),
    ),
    Row("poisoned bytecode", "green", RED, poisoned_bytecode),
    Row("another copy of the invariants", "green", UNKNOWN, another_copy),
    Row(
        "pytest in the working directory",
        "green",
        RED,
        working_directory("pytest.py", "main = lambda a: 0\n"),
    ),
    # configuration
    Row("pytest.ini", "green", RED, configuration("pytest.ini", "[pytest]\naddopts = --co\n")),
    Row("tox.ini", "red", RED, configuration("tox.ini", "[pytest]\naddopts = --co\n")),
    Row(
        "pytest.toml", "green", RED, configuration("pytest.toml", '[pytest]\naddopts = ["--co"]\n')
    ),
    Row(
        "other names for tests",
        "none",
        RED,
        configuration("pytest.ini", "[pytest]\npython_functions = no\n"),
    ),
    Row("conftest rewrites", "green", RED, configuration("invariants/conftest.py", PASS_ALL)),
    Row("conftest ignores", "green", RED, configuration("invariants/conftest.py", IGNORE)),
    Row("root conftest rewrites", "green", RED, deployed("conftest.py", lambda s: s + PASS_ALL)),
    Row("conftest above", "red", RED, above_the_program("conftest.py", PASS_ALL)),
    Row(
        "pytest.ini above",
        "green",
        RED,
        above_the_program("pytest.ini", "[pytest]\naddopts = --co\n"),
    ),
    Row(
        "pytest.ini beside the inventory",
        "red",
        RED,
        beside_the_inventory("pytest.ini", "[pytest]\naddopts = --co\n"),
    ),
    Row("conftest beside the inventory", "red", RED, beside_the_inventory("conftest.py", PASS_ALL)),
    # the tests themselves
    Row("test file gone", "green", UNKNOWN, deployed("invariants/test_links.py", None)),
    Row(
        "test renamed",
        "green",
        UNKNOWN,
        deployed("invariants/test_links.py", lambda s: s.replace(NO_TEST, "def tst_link")),
    ),
    Row(
        "test file does not load",
        "none",
        UNKNOWN,
        deployed("invariants/test_links.py", "def broken(:\n"),
    ),
    Row(
        "test file skips itself",
        "green",
        UNKNOWN,
        deployed(
            "invariants/test_links.py",
            "import pytest\npytest.skip('later', allow_module_level=True)\n",
        ),
    ),
    Row("tests are skipped", "green", UNKNOWN, decorated("@pytest.mark.skip")),
    Row("tests are expected to fail", "green", UNKNOWN, decorated("@pytest.mark.xfail")),
    Row("tests skip in their body", "green", UNKNOWN, body("import pytest; pytest.skip('later')")),
    Row("tests do nothing", "green", RED, body("return")),
    Row(
        "a test ends pytest",
        "green",
        UNKNOWN,
        body("import pytest; pytest.exit('x', returncode=0)", "test_homes.py"),
    ),
    Row(
        "a test ends the process", "green", UNKNOWN, body("import os; os._exit(0)", "test_homes.py")
    ),
    Row("a test raises SystemExit", "red", UNKNOWN, body("raise SystemExit(0)")),
    Row("a test is interrupted", "none", UNKNOWN, body("raise KeyboardInterrupt")),
    Row("a test kills itself", "none", UNKNOWN, body("import os; os.kill(os.getpid(), 9)")),
    Row(
        "a test crashes the interpreter",
        "none",
        UNKNOWN,
        body("import ctypes; ctypes.string_at(0)"),
    ),
    Row(
        "a test never ends",
        "hangs",
        UNKNOWN,
        never_ends,
    ),
    Row(
        "a test leaves a process behind",
        "red",
        RED,
        body("import subprocess; subprocess.Popen(['sleep', '60'])"),
    ),
    Row("a link breaks behind its check", "green", RED, link_breaks_behind_its_check),
    Row("a link breaks beside an own invariant", "green", RED, link_breaks_beside_an_own_invariant),
    Row("no transcript could be written", "red", RED, folder_that_cannot_be_written),
    Row("the kernel follows no link of a home", "red", RED, mounted("nosymfollow")),
    # own invariants
    Row(
        "own: a tuple is asserted", "green", UNKNOWN, own_body('assert (link.target == "/x", "no")')
    ),
    Row("own: a text is asserted", "green", UNKNOWN, own_body('assert "the target is /x"')),
    Row("own: a generator is asserted", "green", UNKNOWN, own_body("assert (0 for _ in [link])")),
    Row("own: a lambda is asserted", "green", UNKNOWN, own_body("assert lambda: False")),
    Row(
        "own: or with a constant", "green", UNKNOWN, own_body('assert link.target == "/x" or "/y"')
    ),
    Row("own: a function is asserted", "green", UNKNOWN, own_body("assert isinstance")),
    Row("own: compared, not asserted", "green", UNKNOWN, own_body('link and link.target == "/x"')),
    Row("own: asked, not asserted", "green", UNKNOWN, own_body('link.target.startswith("/x")')),
    Row("own: not, not asserted", "green", UNKNOWN, own_body("not link.target")),
    Row("own: it returns first", "green", UNKNOWN, own_body("return\n    assert not link")),
    Row("own: it only returns", "green", UNKNOWN, own_body("return")),
    Row("own: never called", "green", UNKNOWN, own_body("def no(): assert not link")),
    Row(
        "own: its failure is swallowed",
        "green",
        UNKNOWN,
        own_body("try: assert not link\n    except Exception: pass"),
    ),
    Row(
        "own: another test in its place",
        "green",
        UNKNOWN,
        own_file(f"{OWN}globals()['test_own'] = lambda link: None\n"),
    ),
    Row(
        "own: other code in the test",
        "green",
        UNKNOWN,
        own_file(f"{OWN}test_own.__code__ = (lambda link: None).__code__\n"),
    ),
    Row(
        "own: pytest's call replaced",
        "green",
        UNKNOWN,
        own_file(f"import pytest\n{OWN}pytest.Function.runtest = lambda self: None\n"),
    ),
    Row(
        "own: a document of its own",
        "green",
        UNKNOWN,
        own_file(
            f"import os\n{OWN}for n in range(3, 64):\n"
            "    try: os.write(n, b'{}')\n    except OSError: pass\nos._exit(0)\n"
        ),
    ),
    # signals
    Row("SIGKILL to the child", "none", UNKNOWN, kill(signal.SIGKILL, child=True)),
    Row("SIGTERM to the child", "none", UNKNOWN, kill(signal.SIGTERM, child=True)),
    Row("SIGINT to the child", "none", UNKNOWN, kill(signal.SIGINT, child=True)),
    Row("SIGKILL to the launcher", "none", -9, kill(signal.SIGKILL, child=False)),
    Row("SIGTERM to the launcher", "none", 128 + 15, kill(signal.SIGTERM, child=False)),
    Row("SIGINT to the launcher", "none", 128 + 2, kill(signal.SIGINT, child=False)),
    Row("SIGHUP to the launcher", "none", 128 + 1, kill(signal.SIGHUP, child=False)),
    # the report
    Row("report is a directory", "red", UNKNOWN, replaced_report(Path.mkdir)),
    Row("report is a pipe", "red", UNKNOWN, replaced_report(os.mkfifo)),
    Row("report is /dev/full", "red", UNKNOWN, report_at("/dev/full")),
    Row(
        "report leads to /dev/null",
        "red",
        UNKNOWN,
        replaced_report(lambda p: p.symlink_to("/dev/null")),
    ),
    Row("report leads to an old green", "red", RED, replaced_report(linked_to_an_old_green)),
    Row(
        "report leads to nowhere",
        "red",
        UNKNOWN,
        replaced_report(lambda p: p.symlink_to("/proc/no/report")),
    ),
    Row("report below a file", "red", UNKNOWN, report_at("/etc/passwd/report.json")),
    Row("report may not be replaced", "red", UNKNOWN, directory_without_writing),
    Row("report from the future", "red", RED, future_report),
    Row("disk is full", "red", UNKNOWN, full_disk),
    # standard streams and limits
    Row("no standard output", "none", RED, closed(1)),
    Row("no standard streams at all", "red", RED, closed(0, 1, 2)),
    Row("broken pipe", "none", RED, broken_pipe),
    Row(
        "full standard output",
        "none",
        RED,
        output_to("/dev/full"),
    ),
    Row("files of no size", "red", UNKNOWN, limits("--fsize=0")),
    Row("six open files", "red", UNKNOWN, limits("--nofile=6")),
    Row("a test runs out of memory", "red", UNKNOWN, body("raise MemoryError")),
    # surroundings
    Row("locale C", "red", RED, variable("LC_ALL", "C")),
    Row("unknown locale", "red", RED, variable("LC_ALL", "xx_XX.ISO-8859-15")),
    Row("narrow terminal", "red", RED, variable("COLUMNS", "1")),
    Row("no PATH", "red", RED, lambda a: a.environ.pop("PATH")),
    Row("no HOME", "red", RED, lambda a: a.environ.pop("HOME")),
    Row("no working directory", "red", RED, gone_working_directory),
    Row("half an environment", "none", UNKNOWN, half_installed),
    Row("half a program", "none", UNKNOWN, deployed("invariants/targets.py", None)),
    Row("no child program", "red", UNKNOWN, deployed("launcher/child.py", None)),
    # the inventory
    Row("inventory gone", "none", CONFIG, at_the_default_place(lambda text: None)),
    Row(
        "inventory without accounts",
        "none",
        CONFIG,
        inventory_text(lambda t: t.replace("[[accounts]]", "[[account]]")),
    ),
    Row(
        "account named as an option",
        "none",
        CONFIG,
        inventory_text(lambda t: t.replace('"backup"', '"--co"')),
    ),
    Row("inventory is torn", "none", CONFIG, at_the_default_place(lambda t: t[: len(t) // 2])),
]


every_verb = pytest.mark.parametrize("verb", ["check", "run", "up"])
every_row = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


@every_row
@every_verb
@pytest.mark.sampled(16)
def test_never_green(vm: Vm, verb: str, row: Row) -> None:
    attack = Attack(vm)
    row.setup(attack)
    code = attack.launcher(verb)
    assert not attack.started.exists(), f"{verb} started something"
    assert row.code == code, attack.output
    assert not attack.report_says_green()


@pytest.mark.thorough
@every_row
def test_table_says_what_the_naive_gate_says(vm: Vm, row: Row) -> None:
    attack = Attack(vm)
    row.setup(attack)
    hangs = row.naive == "hangs"
    assert row.naive == (attack.naive_gate(HANGS_SECONDS) if hangs else attack.naive_gate())


def test_naive_gate_says_green_where_the_table_says_so(vm: Vm) -> None:
    (row,) = (row for row in ROWS if row.name == "addopts: setup plan")
    attack = Attack(vm)
    row.setup(attack)
    assert "green" == row.naive == attack.naive_gate()


@pytest.mark.parametrize("megabytes", [20, 26, 28, 30, 32, 36, 45])
@every_verb
@pytest.mark.sampled(2)
def test_little_memory_is_never_green(vm: Vm, verb: str, megabytes: int) -> None:
    """Whether the interpreter, the launcher or the child runs out differs from build to build."""
    attack = Attack(vm)
    limits(f"--as={megabytes}000000")(attack)
    assert 0 != attack.launcher(verb)
    assert not attack.started.exists()


OTHER = 54322
USER, EVERYBODY = 5, 2**32 - 1


def opened_by_a_list(path: Path) -> None:
    """Let an access list open *path* to a user; the group bits hide that behind the own group."""
    owners = [(1, 7, EVERYBODY), (2, 7, USER), (4, 5, EVERYBODY)]
    acl(path, *owners, (16, 7, EVERYBODY), (32, 0, EVERYBODY))


def given_away(path: Path) -> None:
    os.chown(path, OTHER, OTHER)


def put_back(vm: Vm) -> None:
    """Put an old green of the user's own back over a red, as who can write the directory can."""
    old = vm.report_path.rename(vm.root / "old.json")
    entry = vm.entry("backup", "projects").readlink()
    vm.diverge()
    assert RED == vm.run("check").returncode
    vm.entry("backup", "projects").unlink()
    vm.entry("backup", "projects").symlink_to(entry)
    old.rename(vm.report_path)


def linked_by_another(vm: Vm) -> None:
    old = vm.report_path.rename(vm.root / "old.json")
    vm.report_path.symlink_to(old)
    os.lchown(vm.report_path, OTHER, OTHER)


# what of a VM that is all right is open to others; the codes of check, up and run; of a monitor
OPEN: list[tuple[str, int, int, Callable[[Vm], object]]] = [
    ("home, by a list", RED, 0, lambda vm: opened_by_a_list(vm.home("backup"))),
    ("home, by root's group", RED, 0, lambda vm: vm.home("backup").chmod(0o770)),
    ("inventory, by a list", CONFIG, 3, lambda vm: opened_by_a_list(vm.inventory)),
    ("inventory's directory, by a list", CONFIG, 3, lambda vm: opened_by_a_list(vm.root)),
    ("inventory's symlink", CONFIG, 3, lambda vm: lchowned(relinked(vm))),
    ("state, by its mode", CONFIG, 3, lambda vm: vm.state.chmod(0o777)),
    ("state, by a list", CONFIG, 3, lambda vm: opened_by_a_list(vm.state)),
    ("state, by its owner", CONFIG, 3, lambda vm: given_away(vm.state)),
    ("records, by their mode", CONFIG, 3, lambda vm: (vm.state / "sessions").chmod(0o777)),
    ("records, by their owner", CONFIG, 3, lambda vm: given_away(vm.state / "sessions")),
    ("report, by its mode", 0, 3, lambda vm: vm.report_path.chmod(0o666)),
    ("report, by a list", 0, 3, lambda vm: opened_by_a_list(vm.report_path)),
    ("report, by its owner", 0, 3, lambda vm: given_away(vm.report_path)),
    ("report, by a symlink", UNKNOWN, 3, linked_by_another),
    ("report, put back", 0, 3, put_back),
]


def relinked(vm: Vm) -> Path:
    """Let the inventory be a symlink; return it."""
    real = vm.inventory.rename(vm.root / "real.toml")
    vm.inventory.symlink_to(real)
    return vm.inventory


def lchowned(path: Path) -> None:
    os.lchown(path, OTHER, OTHER)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another")
@pytest.mark.parametrize(
    ("code", "monitor", "change"), [row[1:] for row in OPEN], ids=[row[0] for row in OPEN]
)
@pytest.mark.thorough
def test_what_others_can_write_makes_nothing_green(
    vm: Vm, code: int, monitor: int, change: Callable[[Vm], object]
) -> None:
    started = vm.root / "a-session-was-started"
    vm.write({"api": ["/bin/sh", "-c", f"touch {started}; exec sleep 600"]})
    (vm.state / "sessions").mkdir(parents=True)
    assert 0 == vm.run("check").returncode
    change(vm)
    assert monitor == vm.run("status", "--format", "nagios").returncode
    if code == 0:  # the next gate replaces it
        assert 0 == vm.run("check").returncode
        assert 0 == vm.run("status", "--format", "nagios").returncode
        return
    assert [code] * 3 == [
        vm.run(*verb).returncode for verb in (("check",), ("up",), ("run", "primary", "--", "true"))
    ]
    assert not started.exists(), "a session was started"
    assert 0 != vm.run("status", "--format", "nagios").returncode


def test_table_is_as_long_as_it_says() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 45


@every_verb
def test_without_an_attack_the_same_gate_is_green_and_starts(vm: Vm, verb: str) -> None:
    """Proves that the rows would notice a start: nothing else than the link holds it back."""
    attack = Attack(vm)
    mend(attack)
    assert ("green", 0) == (attack.naive_gate(), attack.launcher(verb))
    wait_until(lambda: attack.started.exists() or verb == "check", f"{verb} leaves its mark")
    assert attack.report_says_green()


class Later(NamedTuple):
    """A way in which a green that a gate has earned is told on, though the VM is no longer right.

    ``happens`` breaks the VM, or what is demanded of it, in a way that no gate has looked at.
    """

    name: str
    happens: Callable[[Vm], object]


def report_says(change: Callable[[dict[str, Any]], object]) -> Callable[[Vm], object]:
    """Break a link, and leave a green report with one thing in it that speaks against green."""

    def happens(vm: Vm) -> None:
        vm.diverge()
        document = json.loads(vm.report_path.read_text())
        change(document)
        vm.report_path.write_text(json.dumps(document))

    return happens


def kept_by_this_test(vm: Vm, kept_at: float) -> None:
    me = identify(os.getpid())
    assert me is not None
    report_says(lambda d: d["failover"].update(keeper={"pid": me.pid, "start": me.start}))(vm)
    os.utime(vm.report_path, (kept_at, kept_at))


def home_moves(vm: Vm) -> None:
    text = vm.inventory.read_text()
    vm.inventory.write_text(text.replace(str(vm.home("backup")), str(vm.root / "nowhere")))


def own_invariant_is_edited(vm: Vm) -> None:
    (vm.root / "own" / "test_mine.py").write_text(MINE.format("False"))


def key_is_there_twice(vm: Vm) -> None:
    vm.diverge()
    text = vm.report_path.read_text()
    vm.report_path.write_text(text.replace('"verdict":', '"verdict": "red", "verdict":', 1))


def watch_is_stopped(vm: Vm) -> None:
    command = [sys.executable, "-m", "launcher", "--inventory", str(vm.inventory), "watch"]
    behind = ["sh", "-c", '"$@" > "$0" 2>&1 & echo $!', str(vm.root / "log"), *command]
    done = subprocess.run(behind, env=vm.environ, cwd=vm.root, check=True, stdout=subprocess.PIPE)
    wait_until(lambda: "keeper" in vm.report, "the watch keeps the report")
    os.kill(int(done.stdout), signal.SIGSTOP)  # it ends with the VM
    vm.diverge()


def machine_is_started_again(vm: Vm) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes a container")
    with place(vm, "before") as before:
        assert 0 == vm.run("check", prefix=before.prefix).returncode
    vm.diverge()
    vm.prefix = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


MINE = 'def test_mine(account):\n    """Mine."""\n    assert account.name != "" and {}\n'
LATER = [
    Later("the home is another one by now", home_moves),
    Later("an own invariant is another one by now", own_invariant_is_edited),
    Later(
        "of a version that noted no demands", report_says(lambda d: d["failover"].pop("demands"))
    ),
    Later("pytest ended with 1", report_says(lambda d: d.update(exitcode=1))),
    Later("some checks failed", report_says(lambda d: d["summary"].update(failed=1))),
    Later("it is unknown", report_says(lambda d: d["failover"].update(reason="hung"))),
    Later(
        "a session was held",
        report_says(lambda d: d["failover"]["sessions"][0].update(state="held")),
    ),
    Later("no session is told of", report_says(lambda d: d["failover"].update(sessions=[]))),
    Later("a key is there twice", key_is_there_twice),
    Later("the watch is stopped", watch_is_stopped),
    Later("the watch hangs", lambda vm: kept_by_this_test(vm, time.time() - 20)),
    Later("the clock was set back", lambda vm: kept_by_this_test(vm, time.time() + 20)),
    Later("a container was started again", machine_is_started_again),
]


@pytest.fixture
def earned(vm: Vm) -> Vm:
    """Return a VM with an own invariant, a session and metrics, whose gate was green."""
    own = vm.root / "own"
    own.mkdir(mode=0o755)
    (own / "test_mine.py").write_text(MINE.format("True"))
    metrics = str(vm.root / "x.prom")
    vm.write({"api": ["sleep", "600"]}, invariants=[str(own)], prometheus=metrics)
    done = vm.run("check")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert 0 == vm.run("status", "--format", "nagios").returncode
    return vm


@pytest.mark.parametrize("row", LATER, ids=[row.name for row in LATER])
@pytest.mark.thorough
def test_green_that_was_earned_is_not_told_on(earned: Vm, row: Later) -> None:
    row.happens(earned)
    done = earned.run("status", "--format", "nagios")
    assert (3, True) == (done.returncode, done.stdout.startswith("CLAUDE_FAILOVER UNKNOWN - "))


def test_green_metrics_are_not_left_by_a_launcher_that_is_killed(earned: Vm) -> None:
    metrics = earned.root / "x.prom"
    assert 'verdict="green"} 1' in metrics.read_text()
    attack = Attack(earned)
    attack.write(prometheus=str(metrics))
    kill(signal.SIGKILL, child=False)(attack)
    assert -9 == attack.launcher("up")
    assert 'verdict="green"} 1' not in metrics.read_text()


def test_green_page_is_not_left_where_the_inventory_is_wrong(earned: Vm) -> None:
    page = earned.root / "page.html"
    assert 0 == earned.run("status", "--html", str(page)).returncode
    assert "</span> Green</h1>" in page.read_text()
    earned.inventory.write_text("= nonsense")
    assert 78 == earned.run("status", "--html", str(page)).returncode
    assert "</span> Green</h1>" not in page.read_text()
