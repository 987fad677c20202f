"""kazoo, the Python client: its calls and its recipes between two clients."""
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    BadVersionError, NoAuthError, NodeExistsError, NoNodeError, NotEmptyError, RolledBackError,
    RuntimeInconsistency)
from kazoo.protocol.states import EventType
from kazoo.recipe.watchers import ChildrenWatch, DataWatch
from kazoo.security import make_acl, make_digest_acl

TIMEOUT = 30.0
servers = sys.argv[1]
failed = False


def check(name):
    """Runs the function at once as the check of that name."""
    def run(body):
        global failed
        try:
            body()
            print(f"ok {name}", flush=True)
        except Exception as e:
            failed = True
            line = traceback.extract_tb(e.__traceback__)
            at = [f.lineno for f in line if f.filename == __file__]
            print(f"FAIL {name}: {type(e).__name__}: {e} (client.py:{at[-1] if at else '?'})", flush=True)
    return run


def want(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, want {wanted!r}")


def want_soon(what, get, wanted):
    """A recipe settles after its watches have come back: asks again until then."""
    end = time.monotonic() + 15
    while get() != wanted and time.monotonic() < end:
        time.sleep(0.02)
    want(what, get(), wanted)


def raises(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


class Events(queue.Queue):
    """A watcher that keeps what it was told."""

    def __call__(self, event):
        self.put((event.type, event.path))

    def want(self, typ, path):
        want("event", self.get(timeout=15), (typ, path))


def connect(**kwargs):
    zk = KazooClient(hosts=servers, timeout=kwargs.pop("timeout", TIMEOUT), **kwargs)
    zk.start(timeout=20)
    return zk


if sys.argv[2:] == ["doomed"]:
    # A child that is killed: its session must expire, see session-expires below.
    doomed = connect(timeout=4.0)
    doomed.create("/doomed", ephemeral=True)
    print("up", flush=True)
    time.sleep(100)

one = connect()
two = connect()
child = subprocess.Popen([sys.executable, __file__, servers, "doomed"], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
doom = Events()
want("doomed exists", one.exists("/doomed", watch=doom) is not None, True)
os.kill(child.pid, signal.SIGKILL)
child.wait()


@check("create-read-update-delete")
def _():
    want("path", one.create("/basics/deep", b"v0", makepath=True), "/basics/deep")
    data, stat = two.get("/basics/deep")
    want("data", (data, stat.version, stat.data_length), (b"v0", 0, 2))
    want("version", two.set("/basics/deep", b"v1", version=0).version, 1)
    want("data", one.get("/basics/deep")[0], b"v1")
    path, stat = one.create("/basics/stat", b"", include_data=True)
    want("create2", (path, stat.version, stat.czxid == stat.mzxid), ("/basics/stat", 0, True))
    want("children", sorted(two.get_children("/basics")), ["deep", "stat"])
    children, stat = two.get_children("/basics", include_data=True)
    want("children's stat", (stat.numChildren, stat.cversion), (2, 2))
    want("synced", two.sync("/basics"), "/basics")
    one.delete("/basics", recursive=True)
    want("exists", two.exists("/basics"), None)


@check("errors")
def _():
    one.create("/errors/x", makepath=True)
    raises(NodeExistsError, one.create, "/errors")
    raises(NoNodeError, one.get, "/none")
    raises(NoNodeError, one.create, "/none/x")
    raises(NotEmptyError, one.delete, "/errors")
    raises(BadVersionError, one.set, "/errors", b"", version=7)
    raises(BadVersionError, one.delete, "/errors/x", version=7)


@check("sequential")
def _():
    one.create("/seq")
    want("first", one.create("/seq/n-", sequence=True), "/seq/n-0000000000")
    want("second", one.create("/seq/n-", sequence=True, ephemeral=True), "/seq/n-0000000001")


@check("acl-digest")
def _():
    one.add_auth("digest", "alice:secret")
    one.create("/acl", b"hers", acl=[make_digest_acl("alice", "secret", all=True)])
    want("data", one.get("/acl")[0], b"hers")
    acls, _ = one.get_acls("/acl")
    want("acl", acls, [make_digest_acl("alice", "secret", all=True)])


@check("acl-second-client-refused")
def _():
    raises(NoAuthError, two.get, "/acl")
    raises(NoAuthError, two.set, "/acl", b"")
    raises(NoAuthError, two.create, "/acl/x")
    with_auth = connect(auth_data=[("digest", "alice:secret")])
    want("data", with_auth.get("/acl")[0], b"hers")
    with_auth.set_acls("/acl", [make_acl("world", "anyone", read=True)])
    want("data", two.get("/acl")[0], b"hers")
    raises(NoAuthError, two.set, "/acl", b"")
    with_auth.stop()
    with_auth.close()
    one.create("/hers", b"hers", acl=[make_digest_acl("alice", "secret", all=True)])


@check("multi-commit")
def _():
    with one.transaction() as t:
        t.create("/multi", b"0")
        t.create("/multi/a")
        t.set_data("/multi", b"1", version=0)
        t.check("/multi", version=1)
        t.delete("/multi/a")
    want("data", two.get("/multi")[0], b"1")
    want("children", two.get_children("/multi"), [])


@check("multi-rollback")
def _():
    t = one.transaction()
    t.create("/multi/b")
    t.check("/multi", version=99)
    t.create("/multi/c")
    want("results", [type(r) for r in t.commit()], [RolledBackError, BadVersionError, RuntimeInconsistency])
    want("rolled back", two.exists("/multi/b"), None)


@check("watch-data")
def _():
    told = Events()
    one.create("/wd")
    one.get("/wd", watch=told)
    two.set("/wd", b"1")
    two.set("/wd", b"2")
    told.want(EventType.CHANGED, "/wd")
    want("data", one.get("/wd", watch=told)[0], b"2")
    two.delete("/wd")
    told.want(EventType.DELETED, "/wd")
    want("more events", told.qsize(), 0)


@check("watch-child")
def _():
    told = Events()
    one.create("/wc")
    one.get_children("/wc", watch=told)
    two.create("/wc/a")
    told.want(EventType.CHILD, "/wc")
    one.get_children("/wc", watch=told)
    two.delete("/wc/a")
    told.want(EventType.CHILD, "/wc")


@check("watch-exists")
def _():
    told = Events()
    want("exists", one.exists("/we", watch=told), None)
    two.create("/we")
    told.want(EventType.CREATED, "/we")
    one.exists("/we", watch=told)
    two.delete("/we")
    told.want(EventType.DELETED, "/we")


@check("ephemeral-gone-on-close")
def _():
    other = connect()
    other.create("/gone", ephemeral=True)
    told = Events()
    want("owner", one.exists("/gone", watch=told).ephemeralOwner, other.client_id[0])
    other.stop()
    told.want(EventType.DELETED, "/gone")
    other.close()


@check("lock")
def _():
    a, b = one.Lock("/lock", "a"), two.Lock("/lock", "b")
    a.acquire()
    want("taken twice", b.acquire(blocking=False), False)
    got = threading.Event()
    waiter = threading.Thread(target=lambda: b.acquire() and got.set(), daemon=True)
    waiter.start()
    want_soon("contenders", a.contenders, ["a", "b"])
    want("waits", got.is_set(), False)
    a.release()
    want("taken after the release", got.wait(15), True)
    b.release()


@check("semaphore")
def _():
    a, b = one.Semaphore("/semaphore", max_leases=1), two.Semaphore("/semaphore", max_leases=1)
    want("first", a.acquire(), True)
    want("second", b.acquire(blocking=False), False)
    a.release()
    want("second after the release", b.acquire(timeout=15), True)
    b.release()


@check("election")
def _():
    leaders, over = queue.Queue(), {"a": threading.Event(), "b": threading.Event()}

    def lead(name):
        leaders.put(name)
        over[name].wait(30)

    a, b = one.Election("/election", "a"), two.Election("/election", "b")
    ta = threading.Thread(target=a.run, args=(lead, "a"), daemon=True)
    tb = threading.Thread(target=b.run, args=(lead, "b"), daemon=True)
    ta.start()
    want("leader", leaders.get(timeout=15), "a")
    tb.start()
    want_soon("contenders", a.contenders, ["a", "b"])
    want("leads beside another", leaders.qsize(), 0)
    over["a"].set()
    want("next leader", leaders.get(timeout=15), "b")
    over["b"].set()
    tb.join(15)


@check("barrier")
def _():
    a, b = one.Barrier("/barrier"), two.Barrier("/barrier")
    a.create()
    want("passed a set barrier", b.wait(timeout=0.2), False)
    threading.Timer(0.1, a.remove).start()
    want("passed", b.wait(timeout=15), True)


@check("double-barrier")
def _():
    a, b = one.DoubleBarrier("/double", 2), two.DoubleBarrier("/double", 2)
    t = threading.Thread(target=a.enter, daemon=True)
    t.start()
    b.enter()
    t.join(15)
    want("both entered", (a.participating, b.participating), (True, True))
    t = threading.Thread(target=a.leave, daemon=True)
    t.start()
    b.leave()
    t.join(15)
    want("both left", t.is_alive(), False)


@check("counter")
def _():
    a, b = one.Counter("/counter"), two.Counter("/counter")

    def add(c):
        for _ in range(25):
            c += 1

    t = threading.Thread(target=add, args=(a,), daemon=True)
    t.start()
    add(b)
    t.join(30)
    want("sum", (a.value, b.value), (50, 50))


@check("queue")
def _():
    a, b = one.Queue("/queue"), two.Queue("/queue")
    for i in range(10):
        a.put(b"%d" % i)
    want("taken", [b.get() for _ in range(10)], [b"%d" % i for i in range(10)])
    want("empty", b.get(), None)


@check("locking-queue")
def _():
    a, b = one.LockingQueue("/locking"), two.LockingQueue("/locking")
    a.put_all([b"x", b"y"])
    want("first", a.get(timeout=15), b"x")
    want("second", b.get(timeout=15), b"y")
    a.consume()
    b.consume()
    want("left", len(a), 0)


@check("party")
def _():
    a, b = one.Party("/party", "a"), two.Party("/party", "b")
    a.join()
    b.join()
    want("members", sorted(a), ["a", "b"])
    b.leave()
    want("members", sorted(a), ["a"])
    a.leave()


@check("data-watch")
def _():
    seen = queue.Queue()
    DataWatch(one, "/data-watch", lambda data, stat: seen.put(data))
    want("seen", seen.get(timeout=15), None)
    two.create("/data-watch", b"0")
    want("seen", seen.get(timeout=15), b"0")
    two.set("/data-watch", b"1")
    want("seen", seen.get(timeout=15), b"1")
    two.delete("/data-watch")
    want("seen", seen.get(timeout=15), None)


@check("children-watch")
def _():
    seen = queue.Queue()
    one.create("/children-watch")
    ChildrenWatch(one, "/children-watch", lambda children: seen.put(sorted(children)))
    want("seen", seen.get(timeout=15), [])
    two.create("/children-watch/a")
    want("seen", seen.get(timeout=15), ["a"])
    two.create("/children-watch/b")
    want("seen", seen.get(timeout=15), ["a", "b"])


@check("session-expires")
def _():
    doom.want(EventType.DELETED, "/doomed")


# The restart. kazoo drops its watches on a lost connection; the recipes set
# them again when it is back, which data-watch and children-watch show.
states, data_seen, children_seen = queue.Queue(), queue.Queue(), queue.Queue()
two.add_listener(states.put)
one.create("/r/data", b"before", makepath=True)
one.create("/r/seq")
one.create("/r/ephemeral", ephemeral=True)
DataWatch(one, "/r/data", lambda data, stat: data_seen.put(data))
ChildrenWatch(one, "/r/seq", lambda children: children_seen.put(len(children)))
for r in [one.create_async("/r/seq/n-", b"%d" % i, sequence=True) for i in range(200)]:
    r.get(timeout=20)
held = one.Lock("/r/lock", "a")
held.acquire()
ids = one.client_id, two.client_id
print("READY-FOR-RESTART", flush=True)
sys.stdin.readline()


@check("restart-same-session")
def _():
    want("state", states.get(timeout=30), KazooState.SUSPENDED)
    want("state", states.get(timeout=30), KazooState.CONNECTED)
    want_soon("connected", lambda: one.connected, True)
    want("sessions", (one.client_id, two.client_id), ids)


@check("restart-data-kept")
def _():
    want("data", two.get("/r/data")[0], b"before")
    names = sorted(two.get_children("/r/seq"))
    want("names", (len(names), names[-1]), (200, "n-0000000199"))
    want("last", two.get("/r/seq/n-0000000199")[0], b"199")
    want("next", one.create("/r/seq/n-", sequence=True), "/r/seq/n-0000000200")


@check("restart-ephemeral-kept")
def _():
    want("owner", two.exists("/r/ephemeral").ephemeralOwner, ids[0][0])


@check("restart-lock-kept")
def _():
    other = two.Lock("/r/lock", "b")
    want("taken beside the holder", other.acquire(blocking=False), False)
    held.release()
    want("taken after the release", other.acquire(timeout=15), True)
    other.release()


@check("restart-auth-kept")
def _():
    want("data", one.get("/hers")[0], b"hers")
    raises(NoAuthError, two.get, "/hers")


@check("restart-watches-follow")
def _():
    two.set("/r/data", b"after")
    while data_seen.get(timeout=15) != b"after":
        pass
    two.create("/r/seq/last")
    while children_seen.get(timeout=15) != 202:
        pass


for client in (one, two):
    client.stop()
    client.close()
print("DONE", flush=True)
sys.exit(1 if failed else 0)
