"""cli_mt: the shell of the C client. It has no command for ACLs or multi; the C program beside it tests those."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from cli import Cli, check, done, restart, want  # noqa: E402

servers = sys.argv[1]


def session():
    # Unbuffered: cli_mt prints with stdio.
    return Cli(["stdbuf", "-o0", "-e0", "/usr/lib/zookeeper/bin/cli_mt", "-h", servers], r"state = CONNECTED_STATE")


def session_id(cli):
    return cli.do("myid", r"session Id = ([0-9a-f]+)").group(1)


one, two = session(), session()


@check("create-read-update-delete")
def _():
    one.do("create /x", r"\[/x\]: rc = 0\n\s+name = /x$")
    one.do("set /x hello", r"/x: rc = 0 Stat:\n(.*\n)*.*version=1\b")
    two.do("get /x", r"/x: rc = 0\n value_len = 5\nhello\n(.*\n)*.*version=1\b")
    one.do("create2 /x/a", r"\[/x/a\]: rc = 0\n\s+name = /x/a\n(.*\n)*.*version=0\b")
    two.do("ls /x", r"/x: rc = 0\n\s+a$")
    two.do("ls2 /x", r"/x: rc = 0\n\s+a$(.*\n)*.*version=1\b")
    one.do("sync /x", r"rc = 0")
    one.do("delete /x/a", r"/x/a: rc = 0")
    one.do("delete /x", r"/x: rc = 0")
    one.do("get /x", r"/x: rc = -101")


@check("errors")
def _():
    one.do("create /errors", r"rc = 0")
    one.do("create /errors", r"rc = -110")
    one.do("create /none/x", r"rc = -101")
    one.do("create +e /errors/e", r"rc = 0")
    one.do("create /errors/e/x", r"rc = -108")
    one.do("delete /errors", r"rc = -111")


@check("sequential-container-ttl")
def _():
    one.do("create /kinds", r"rc = 0")
    one.do("create +s /kinds/s-", r"name = /kinds/s-0000000000$")
    one.do("create +es /kinds/s-", r"name = /kinds/s-0000000001$")
    one.do("create +c /kinds/c", r"\[/kinds/c\]: rc = 0")
    one.do("create +t=3600000 /kinds/t", r"\[/kinds/t\]: rc = 0")


@check("auth")
def _():
    one.do("verbose", r"set to DEBUG")  # it tells of a success in its log only
    one.do("addauth digest alice:secret", r"Authentication scheme digest succeeded")
    one.do("verbose", r"logging level set to")
    one.do("config", r"/zookeeper/config: rc = 0")


@check("watch-data")
def _():
    one.do("create /wd", r"rc = 0")
    one.do("get /wd", r"rc = 0")  # its reads leave a watch
    two.do("set /wd 1", r"rc = 0")
    one.expect(r"Watcher CHANGED_EVENT state = CONNECTED_STATE for path /wd$")


@check("watch-child")
def _():
    one.do("create /wc", r"rc = 0")
    one.do("ls /wc", r"rc = 0")
    two.do("create /wc/a", r"rc = 0")
    one.expect(r"Watcher CHILD_EVENT state = CONNECTED_STATE for path /wc$")


@check("watch-exists")
def _():
    one.do("wexists /we", r"Error -101 for /we|rc = -101")
    two.do("create /we", r"rc = 0")
    one.expect(r"Watcher CREATED_EVENT state = CONNECTED_STATE for path /we$")


@check("lock-between-two")
def _():
    one.do("create /lock", r"rc = 0")
    one.do("create +es /lock/l-", r"name = /lock/l-0000000000$")
    two.do("create +es /lock/l-", r"name = /lock/l-0000000001$")
    two.do("get /lock/l-0000000000", r"ephemeralOwner = [1-9a-f]")
    one.do("delete /lock/l-0000000000", r"rc = 0")
    two.expect(r"Watcher DELETED_EVENT state = CONNECTED_STATE for path /lock/l-0000000000$")


@check("ephemeral-gone-on-close")
def _():
    other = session()
    other.do("create +e /gone", r"rc = 0")
    one.do("get /gone", r"ephemeralOwner = [1-9a-f]")
    other.quit()
    one.expect(r"Watcher DELETED_EVENT state = CONNECTED_STATE for path /gone$")


one.do("create /r", r"rc = 0")
one.do("set /r before", r"rc = 0")
one.do("create +e /r/ephemeral", r"rc = 0")
one.do("get /r", r"before")
before = session_id(one)
restart()


@check("restart-same-session")
def _():
    one.expect(r"Watcher SESSION_EVENT state = CONNECTED_STATE", 30)
    two.expect(r"Watcher SESSION_EVENT state = CONNECTED_STATE", 30)
    want("session", session_id(one), before)


@check("restart-ephemeral-kept")
def _():
    owner = two.do("get /r/ephemeral", r"ephemeralOwner = ([0-9a-f]+)").group(1)
    want("owner", owner.lstrip("0"), before.lstrip("0"))


@check("restart-data-kept")
def _():
    two.do("get /r", r"before")


@check("restart-watches-fire")
def _():
    two.do("set /r after", r"rc = 0")
    one.expect(r"Watcher CHANGED_EVENT state = CONNECTED_STATE for path /r$")


one.quit()
two.quit()
done()
