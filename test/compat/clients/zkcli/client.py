"""zkCli: the shell of the Java distribution, as commands typed into two running ones."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from cli import Cli, check, done, restart, want  # noqa: E402

servers = sys.argv[1]
MAIN = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", os.environ["CLIENT_CLASSPATH"],
        "org.apache.zookeeper.ZooKeeperMain", "-server", servers, "-timeout", "30000"]


def session():
    return Cli(MAIN, r"state:SyncConnected")


one, two = session(), session()


@check("one-shot")
def _():
    # Commands on the command line: the exit code tells a script how it went.
    run = subprocess.run(MAIN + ["ls", "/zookeeper"], capture_output=True, text=True, timeout=30)
    want("exit", run.returncode, 0)
    want("listed", "[config, quota]" in run.stdout, True)
    run = subprocess.run(MAIN + ["get", "/none"], capture_output=True, text=True, timeout=30)
    want("exit", run.returncode, 1)
    want("error", "Node does not exist: /none" in run.stderr, True)


@check("create-read-update-delete")
def _():
    one.do("create /x hello", r"Created /x$")
    two.do("get -s /x", r"hello\n(.*\n)*.*dataVersion = 0\n(.*\n)*dataLength = 5")
    one.do("set -s -v 0 /x bye", r"dataVersion = 1")
    two.do("get /x", r"bye")
    two.do("stat /x", r"mZxid = 0x")
    one.do("create /x/a", r"Created /x/a$")
    one.do("create /x/b", r"Created /x/b$")
    two.do("ls /x", r"\[a, b\]")
    two.do("ls -R /x", r"/x\n/x/a\n/x/b")
    two.do("ls -s /x", r"numChildren = 2")
    two.do("getAllChildrenNumber /x", r"2$")
    one.do("delete /x", r"Node not empty: /x")
    one.do("deleteall /x", "")
    one.do("get /x", r"Node does not exist: /x")
    one.do("sync /", r"Sync is OK")


@check("errors")
def _():
    one.do("create /errors", r"Created")
    one.do("create /errors", r"Node already exists: /errors")
    one.do("set -v 7 /errors x", r"version No is not valid : /errors")
    one.do("create /none/x", r"Node does not exist: /none/x")


@check("sequential-container-ttl")
def _():
    one.do("create /kinds", r"Created")
    one.do("create -s /kinds/s-", r"Created /kinds/s-0000000000$")
    one.do("create -e -s /kinds/s-", r"Created /kinds/s-0000000001$")
    one.do("create -c /kinds/c", r"Created /kinds/c$")
    one.do("create -t 3600000 /kinds/t", r"Created /kinds/t$")
    one.do("getEphemerals /kinds", r"\[/kinds/s-0000000001\]")


@check("acl-digest")
def _():
    one.do("addauth digest alice:secret", "")
    one.do("create /acl hers auth:alice:secret:cdrwa", r"Created /acl$")
    one.do("getAcl /acl", r"'digest,'alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=\n: cdrwa")
    one.do("whoami", r"digest: alice\nip: 127.0.0.1")


@check("acl-second-client-refused")
def _():
    two.do("get /acl", r"Insufficient permission : /acl")
    two.do("set /acl x", r"Insufficient permission : /acl")
    one.do("setAcl -s /acl world:anyone:r", r"aclVersion = 1")
    two.do("get /acl", r"hers")
    two.do("set /acl x", r"Insufficient permission : /acl")


@check("quota")
def _():
    one.do("create /quota", r"Created")
    one.do("setquota -n 2 /quota", "")
    one.do("listquota /quota", r"quota for /quota count=2,bytes=-1(.*\n)*.*stat for /quota count=1,bytes=0")
    one.do("create /quota/a x", r"Created")
    two.do("listquota /quota", r"stat for /quota count=2,bytes=1")
    one.do("delquota /quota", "")
    one.do("listquota /quota", r"quota for /quota does not exist")


@check("watch-data")
def _():
    one.do("create /wd 0", r"Created")
    one.do("get -w /wd", r"0")
    two.do("set /wd 1", "")
    one.expect(r"type:NodeDataChanged path:/wd")
    one.do("stat -w /wd", r"dataVersion = 1")
    two.do("delete /wd", "")
    one.expect(r"type:NodeDeleted path:/wd")


@check("watch-child")
def _():
    one.do("create /wc", r"Created")
    one.do("ls -w /wc", r"\[\]")
    two.do("create /wc/a", r"Created")
    one.expect(r"type:NodeChildrenChanged path:/wc")


@check("watch-recursive")
def _():
    one.do("create /wr", r"Created")
    one.do("addWatch -m PERSISTENT_RECURSIVE /wr", "")
    one.do("getAllChildrenNumber /wr", r"0")
    two.do("create /wr/a", r"Created")
    two.do("create /wr/a/b", r"Created")
    one.expect(r"type:NodeCreated path:/wr/a\b(.*\n)*.*type:NodeCreated path:/wr/a/b")
    one.do("removewatches /wr", r"type:PersistentWatchRemoved path:/wr")


@check("lock-between-two")
def _():
    one.do("create /lock", r"Created")
    one.do("create -e -s /lock/l-", r"Created /lock/l-0000000000")
    two.do("create -e -s /lock/l-", r"Created /lock/l-0000000001")
    two.do("stat -w /lock/l-0000000000", r"ephemeralOwner = 0x[1-9a-f]")
    one.do("delete /lock/l-0000000000", "")
    two.expect(r"type:NodeDeleted path:/lock/l-0000000000")
    two.do("ls /lock", r"\[l-0000000001\]")


@check("ephemeral-gone-on-close")
def _():
    other = session()
    other.do("create -e /gone", r"Created")
    one.do("stat -w /gone", r"ephemeralOwner = 0x[1-9a-f]")
    other.quit()
    one.expect(r"type:NodeDeleted path:/gone")


one.do("create /r before", r"Created")
one.do("create -e /r/ephemeral", r"Created")
owner = one.do("stat /r/ephemeral", r"ephemeralOwner = (0x[0-9a-f]+)").group(1)
one.do("create /hers hers auth:alice:secret:cdrwa", r"Created")
one.do("get -w /r", r"before")
restart()


@check("restart-same-session")
def _():
    one.expect(r"state:SyncConnected type:None", 30)
    two.expect(r"state:SyncConnected type:None", 30)
    one.do("getEphemerals /r", r"\[/r/ephemeral\]")


@check("restart-ephemeral-kept")
def _():
    want("owner", two.do("stat /r/ephemeral", r"ephemeralOwner = (0x[0-9a-f]+)").group(1), owner)


@check("restart-data-kept")
def _():
    two.do("get /r", r"before")
    one.do("create -s /kinds/s-", r"Created /kinds/s-0000000004$")


@check("restart-auth-kept")
def _():
    one.do("get /hers", r"hers$")
    two.do("get /hers", r"Insufficient permission")


@check("restart-watches-fire")
def _():
    two.do("set /r after", "")
    one.expect(r"type:NodeDataChanged path:/r\b")


one.quit()
two.quit()
done()
