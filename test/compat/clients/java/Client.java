import static org.apache.zookeeper.CreateMode.CONTAINER;
import static org.apache.zookeeper.CreateMode.EPHEMERAL;
import static org.apache.zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL;
import static org.apache.zookeeper.CreateMode.PERSISTENT;
import static org.apache.zookeeper.CreateMode.PERSISTENT_SEQUENTIAL;
import static org.apache.zookeeper.CreateMode.PERSISTENT_WITH_TTL;
import static org.apache.zookeeper.ZooDefs.Ids.CREATOR_ALL_ACL;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;
import static org.apache.zookeeper.ZooDefs.Ids.READ_ACL_UNSAFE;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.client.ZKClientConfig;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** The Java client library itself, without recipes on top. */
public class Client {
    static final int TIMEOUT = 30_000;
    static String servers;
    static boolean failed;

    interface Body {
        void run() throws Exception;
    }

    static void check(String name, Body body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable e) {
            failed = true;
            StackTraceElement at = e.getStackTrace().length > 0 ? e.getStackTrace()[0] : null;
            for (StackTraceElement s : e.getStackTrace()) {
                if (s.getClassName().startsWith("Client") && !s.getMethodName().startsWith("want")) {
                    at = s;
                    break;
                }
            }
            System.out.println("FAIL " + name + ": " + e + " (" + at + ")");
        }
    }

    static void want(String what, Object got, Object want) {
        if (!String.valueOf(got).equals(String.valueOf(want))) {
            throw new AssertionError(what + ": got " + got + ", want " + want);
        }
    }

    static void wantCode(Code want, Body body) throws Exception {
        Code got = Code.OK;
        try {
            body.run();
        } catch (KeeperException e) {
            got = e.code();
        }
        want("error code", got, want);
    }

    /** What a watcher was told, in order; connection states apart from events. */
    static class Events implements Watcher {
        final LinkedBlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        final LinkedBlockingQueue<KeeperState> states = new LinkedBlockingQueue<>();

        @Override
        public void process(WatchedEvent e) {
            if (e.getType() == EventType.None) {
                states.add(e.getState());
            } else {
                events.add(e);
            }
        }

        void want(EventType type, String path) throws Exception {
            WatchedEvent e = events.poll(15, TimeUnit.SECONDS);
            Client.want("event", e == null ? "none" : e.getType() + " " + e.getPath(), type + " " + path);
        }

        void awaitState(KeeperState want) throws Exception {
            while (true) {
                KeeperState s = states.poll(40, TimeUnit.SECONDS);
                if (s == want) {
                    return;
                }
                if (s == null || s == KeeperState.Expired) {
                    throw new AssertionError("session state: got " + s + ", want " + want);
                }
            }
        }

        /** Nothing is queued once everything the server sent before this call is delivered. */
        void wantNothing(ZooKeeper zk) throws Exception {
            CountDownLatch passed = new CountDownLatch(1);
            zk.exists("/", false, (rc, path, ctx, stat) -> passed.countDown(), null);
            Client.want("answered", passed.await(15, TimeUnit.SECONDS), true);
            WatchedEvent e = events.poll();
            Client.want("event", e == null ? "none" : e.toString(), "none");
        }
    }

    /** A session whose connection can be dropped without closing it. */
    static class Session extends ZooKeeper {
        final Events told;

        Session(int timeout, Events told) throws Exception {
            super(servers, timeout, told, false, new ZKClientConfig());
            this.told = told;
        }

        Session(int timeout, Events told, long id, byte[] password) throws Exception {
            super(servers, timeout, told, id, password);
            this.told = told;
        }

        void drop() throws Exception {
            cnxn.disconnect();
        }
    }

    static Session connect(int timeout) throws Exception {
        Session s = new Session(timeout, new Events());
        s.told.awaitState(KeeperState.SyncConnected);
        return s;
    }

    static byte[] b(String s) {
        return s.getBytes();
    }

    static String s(byte[] b) {
        return b == null ? "null" : new String(b);
    }

    static List<String> sorted(List<String> l) {
        List<String> c = new ArrayList<>(l);
        Collections.sort(c);
        return c;
    }

    public static void main(String[] args) throws Exception {
        servers = args[0];
        Session one = connect(TIMEOUT);
        Session two = connect(TIMEOUT);
        Session doomed = connect(4000);
        doomed.create("/doomed", null, OPEN_ACL_UNSAFE, EPHEMERAL);
        Events doom = new Events();
        two.exists("/doomed", doom);
        doomed.drop(); // its expiry is looked at below, when the time has passed

        check("create-read-update-delete", () -> basics(one, two));
        check("errors", () -> errors(one));
        check("sequential", () -> sequential(one));
        check("container-and-ttl", () -> containerAndTtl(one));
        check("pipelined-order", () -> pipelined(one));
        check("acl-digest", () -> aclDigest(one));
        check("acl-second-client-refused", () -> aclRefused(one, two));
        check("multi-commit", () -> multiCommit(one));
        check("multi-rollback", () -> multiRollback(one));
        check("multi-read", () -> multiRead(one));
        check("watch-data", () -> watchData(one, two));
        check("watch-child", () -> watchChild(one, two));
        check("watch-exists", () -> watchExists(one, two));
        check("watch-persistent", () -> watchPersistent(one, two));
        check("watch-recursive", () -> watchRecursive(one, two));
        check("watch-removed", () -> watchRemoved(one, two));
        check("lock-between-two", () -> lock(one, two));
        check("ephemeral-gone-on-close", () -> ephemeralGone(one));
        check("session-reattached", Client::reattached);
        check("session-wrong-password", Client::wrongPassword);
        check("session-expires", () -> expires(doomed, doom));
        restart(one, two);
        one.close();
        two.close();
        System.out.println("DONE");
        System.exit(failed ? 1 : 0);
    }

    static void basics(ZooKeeper one, ZooKeeper two) throws Exception {
        Stat at = new Stat();
        want("path", one.create("/basics", b("v0"), OPEN_ACL_UNSAFE, PERSISTENT, at), "/basics");
        want("data", s(two.getData("/basics", false, null)), "v0");
        want("version", at.getVersion(), 0);
        want("mzxid", at.getMzxid(), at.getCzxid());
        want("pzxid", at.getPzxid(), at.getCzxid());
        want("length", at.getDataLength(), 2);
        Stat set = two.setData("/basics", b("longer"), 0);
        want("version", set.getVersion(), 1);
        want("mzxid moved", set.getMzxid() > at.getMzxid(), true);
        want("czxid", set.getCzxid(), at.getCzxid());
        Stat read = new Stat();
        want("data", s(one.getData("/basics", false, read)), "longer");
        want("stat", read, set);
        one.create("/basics/null", null, OPEN_ACL_UNSAFE, PERSISTENT);
        want("null data", s(two.getData("/basics/null", false, null)), "null");
        one.create("/basics/empty", new byte[0], OPEN_ACL_UNSAFE, PERSISTENT);
        want("empty data", s(two.getData("/basics/empty", false, null)), "");
        one.create("/basics/ünïcödé-☃", b("x"), OPEN_ACL_UNSAFE, PERSISTENT);
        Stat parent = new Stat();
        want("children", sorted(two.getChildren("/basics", false, parent)), "[empty, null, ünïcödé-☃]");
        want("cversion", parent.getCversion(), 3);
        want("numChildren", parent.getNumChildren(), 3);
        want("all children", two.getAllChildrenNumber("/basics"), 3);
        one.delete("/basics/null", 0);
        one.delete("/basics/empty", -1);
        one.delete("/basics/ünïcödé-☃", -1);
        one.delete("/basics", 1);
        want("exists", two.exists("/basics", false), null);
        byte[] big = new byte[900_000];
        Arrays.fill(big, (byte) 'x');
        one.create("/big", big, OPEN_ACL_UNSAFE, PERSISTENT);
        want("big data", Arrays.equals(two.getData("/big", false, null), big), true);
        one.delete("/big", -1);
    }

    static void errors(ZooKeeper zk) throws Exception {
        zk.create("/errors", null, OPEN_ACL_UNSAFE, PERSISTENT);
        zk.create("/errors/e", null, OPEN_ACL_UNSAFE, EPHEMERAL);
        wantCode(Code.NODEEXISTS, () -> zk.create("/errors", null, OPEN_ACL_UNSAFE, PERSISTENT));
        wantCode(Code.NONODE, () -> zk.create("/none/x", null, OPEN_ACL_UNSAFE, PERSISTENT));
        wantCode(Code.NOCHILDRENFOREPHEMERALS, () -> zk.create("/errors/e/x", null, OPEN_ACL_UNSAFE, PERSISTENT));
        wantCode(Code.NOTEMPTY, () -> zk.delete("/errors", -1));
        wantCode(Code.BADVERSION, () -> zk.delete("/errors/e", 7));
        wantCode(Code.BADVERSION, () -> zk.setData("/errors", null, 7));
        wantCode(Code.NONODE, () -> zk.setData("/none", null, -1));
        wantCode(Code.NONODE, () -> zk.getData("/none", false, null));
        wantCode(Code.NONODE, () -> zk.getChildren("/none", false));
        wantCode(Code.INVALIDACL, () -> zk.create("/errors/acl", null, CREATOR_ALL_ACL, PERSISTENT));
        wantCode(Code.BADVERSION, () -> zk.setACL("/errors", OPEN_ACL_UNSAFE, 7));
        wantCode(Code.NOWATCHER, () -> zk.removeAllWatches("/errors", Watcher.WatcherType.Any, false));
        wantCode(Code.BADARGUMENTS, () -> zk.delete("/zookeeper/quota", -1));
    }

    static void sequential(ZooKeeper zk) throws Exception {
        zk.create("/seq", null, OPEN_ACL_UNSAFE, PERSISTENT);
        want("first", zk.create("/seq/n-", null, OPEN_ACL_UNSAFE, PERSISTENT_SEQUENTIAL), "/seq/n-0000000000");
        want("second", zk.create("/seq/", null, OPEN_ACL_UNSAFE, EPHEMERAL_SEQUENTIAL), "/seq/0000000001");
        zk.delete("/seq/0000000001", -1); // a delete moves cversion as well: the number skips
        want("third", zk.create("/seq/n-", null, OPEN_ACL_UNSAFE, PERSISTENT_SEQUENTIAL), "/seq/n-0000000002");
    }

    static void containerAndTtl(ZooKeeper zk) throws Exception {
        Stat stat = new Stat();
        zk.create("/container", null, OPEN_ACL_UNSAFE, CONTAINER, stat);
        want("container's owner", stat.getEphemeralOwner(), 0); // clients see owners that are sessions only
        zk.create("/container/child", null, OPEN_ACL_UNSAFE, PERSISTENT);
        zk.create("/ttl", null, OPEN_ACL_UNSAFE, PERSISTENT_WITH_TTL, stat, 3_600_000L);
        want("ttl's owner", stat.getEphemeralOwner(), 0);
        zk.create("/ttl/child", null, OPEN_ACL_UNSAFE, PERSISTENT);
    }

    static void pipelined(ZooKeeper zk) throws Exception {
        int n = 500;
        zk.create("/pipe", null, OPEN_ACL_UNSAFE, PERSISTENT);
        LinkedBlockingQueue<String> answers = new LinkedBlockingQueue<>();
        for (int i = 0; i < n; i++) {
            zk.setData("/pipe", b("" + i), i, (rc, path, ctx, stat) -> answers.add(rc + " set " + stat.getVersion()), null);
            zk.getData("/pipe", false, (rc, path, ctx, data, stat) -> answers.add(rc + " get " + s(data)), null);
        }
        for (int i = 0; i < n; i++) {
            want("answer", answers.poll(20, TimeUnit.SECONDS), "0 set " + (i + 1));
            want("answer", answers.poll(20, TimeUnit.SECONDS), "0 get " + i);
        }
    }

    static void aclDigest(ZooKeeper zk) throws Exception {
        zk.addAuthInfo("digest", b("alice:secret"));
        zk.create("/acl", b("hers"), CREATOR_ALL_ACL, PERSISTENT);
        want("data", s(zk.getData("/acl", false, null)), "hers");
        Stat stat = new Stat();
        List<ACL> acl = zk.getACL("/acl", stat);
        want("perms", acl.get(0).getPerms(), Perms.ALL);
        want("id", acl.get(0).getId().getId(), DigestAuthenticationProvider.generateDigest("alice:secret"));
        want("aversion", stat.getAversion(), 0);
        Set<String> who = new TreeSet<>();
        for (ClientInfo i : zk.whoAmI()) {
            who.add(i.getAuthScheme() + ":" + i.getUser());
        }
        want("whoAmI", who, "[digest:alice, ip:127.0.0.1]");
    }

    static void aclRefused(ZooKeeper one, ZooKeeper two) throws Exception {
        wantCode(Code.NOAUTH, () -> two.getData("/acl", false, null));
        wantCode(Code.NOAUTH, () -> two.setData("/acl", null, -1));
        wantCode(Code.NOAUTH, () -> two.getChildren("/acl", false));
        wantCode(Code.NOAUTH, () -> two.getACL("/acl", null));
        wantCode(Code.NOAUTH, () -> two.setACL("/acl", OPEN_ACL_UNSAFE, -1));
        wantCode(Code.NOAUTH, () -> two.create("/acl/child", null, OPEN_ACL_UNSAFE, PERSISTENT));
        wantCode(Code.NOAUTH, () -> two.multi(List.of(Op.check("/acl", 0), Op.setData("/acl", null, 0))));
        one.create("/readonly", b("x"), READ_ACL_UNSAFE, PERSISTENT);
        want("data", s(two.getData("/readonly", false, null)), "x");
        wantCode(Code.NOAUTH, () -> two.setData("/readonly", null, -1));
        one.create("/ip", b("x"), Collections.singletonList(new ACL(Perms.ALL, new Id("ip", "127.0.0.0/8"))), PERSISTENT);
        want("version", two.setData("/ip", null, 0).getVersion(), 1);
        one.create("/elsewhere", b("x"), Collections.singletonList(new ACL(Perms.ALL, new Id("ip", "10.1.2.3"))), PERSISTENT);
        wantCode(Code.NOAUTH, () -> two.getData("/elsewhere", false, null));
        Session three = connect(TIMEOUT);
        three.addAuthInfo("digest", b("alice:wrong"));
        wantCode(Code.NOAUTH, () -> three.getData("/acl", false, null));
        three.addAuthInfo("digest", b("alice:secret"));
        want("data", s(three.getData("/acl", false, null)), "hers");
        three.setACL("/acl", READ_ACL_UNSAFE, 0);
        want("data", s(two.getData("/acl", false, null)), "hers");
        wantCode(Code.NOAUTH, () -> three.setACL("/acl", OPEN_ACL_UNSAFE, 1));
        three.close();
        one.create("/hers", b("hers"), CREATOR_ALL_ACL, PERSISTENT); // for after the restart
    }

    static void multiCommit(ZooKeeper zk) throws Exception {
        zk.create("/multi", b("0"), OPEN_ACL_UNSAFE, PERSISTENT);
        List<OpResult> r = zk.multi(List.of(
                Op.check("/multi", 0),
                Op.create("/multi/a", b("a"), OPEN_ACL_UNSAFE, PERSISTENT),
                Op.create("/multi/a/s-", null, OPEN_ACL_UNSAFE, PERSISTENT_SEQUENTIAL),
                Op.create("/multi/e", null, OPEN_ACL_UNSAFE, EPHEMERAL),
                Op.setData("/multi", b("1"), 0),
                Op.delete("/multi/e", 0)));
        want("results", r.size(), 6);
        want("created", ((OpResult.CreateResult) r.get(1)).getPath(), "/multi/a");
        want("created", ((OpResult.CreateResult) r.get(2)).getPath(), "/multi/a/s-0000000000");
        want("version", ((OpResult.SetDataResult) r.get(4)).getStat().getVersion(), 1);
        Stat multi = new Stat();
        want("children", zk.getChildren("/multi", false, multi), "[a]");
        want("one zxid for all", zk.exists("/multi/a", false).getCzxid(), multi.getMzxid());
        want("empty", zk.multi(List.of()).size(), 0);
    }

    static void multiRollback(ZooKeeper zk) throws Exception {
        try {
            zk.multi(List.of(
                    Op.create("/multi/b", null, OPEN_ACL_UNSAFE, PERSISTENT),
                    Op.setData("/multi", b("2"), 99),
                    Op.delete("/multi/a", -1)));
            throw new AssertionError("a multi with a bad version was accepted");
        } catch (KeeperException e) {
            want("code", e.code(), Code.BADVERSION);
            List<Integer> codes = new ArrayList<>();
            for (OpResult r : e.getResults()) {
                codes.add(((OpResult.ErrorResult) r).getErr());
            }
            want("codes", codes, "[0, -103, -2]");
        }
        want("rolled back", zk.exists("/multi/b", false), null);
        want("data", s(zk.getData("/multi", false, null)), "1");
    }

    static void multiRead(ZooKeeper zk) throws Exception {
        List<OpResult> r = zk.multi(List.of(Op.getData("/multi"), Op.getChildren("/multi"), Op.getData("/none")));
        want("data", s(((OpResult.GetDataResult) r.get(0)).getData()), "1");
        want("children", ((OpResult.GetChildrenResult) r.get(1)).getChildren(), "[a]");
        want("error", ((OpResult.ErrorResult) r.get(2)).getErr(), Code.NONODE.intValue());
    }

    static void watchData(ZooKeeper one, ZooKeeper two) throws Exception {
        Events told = new Events();
        one.create("/wd", null, OPEN_ACL_UNSAFE, PERSISTENT);
        one.getData("/wd", told, null);
        one.getData("/wd", told, null); // the same watch twice is one
        two.setData("/wd", b("1"), -1);
        two.setData("/wd", b("2"), -1);
        told.want(EventType.NodeDataChanged, "/wd");
        want("data", s(one.getData("/wd", told, null)), "2");
        two.delete("/wd", -1);
        told.want(EventType.NodeDeleted, "/wd");
        told.wantNothing(one);
    }

    static void watchChild(ZooKeeper one, ZooKeeper two) throws Exception {
        Events told = new Events();
        one.create("/wc", null, OPEN_ACL_UNSAFE, PERSISTENT);
        one.getChildren("/wc", told);
        two.setData("/wc", b("not a child"), -1);
        two.create("/wc/a", null, OPEN_ACL_UNSAFE, PERSISTENT);
        told.want(EventType.NodeChildrenChanged, "/wc");
        one.getChildren("/wc", told);
        two.setData("/wc/a", b("not a change of children"), -1);
        two.delete("/wc/a", -1);
        told.want(EventType.NodeChildrenChanged, "/wc");
        one.getChildren("/wc", told);
        two.delete("/wc", -1);
        told.want(EventType.NodeDeleted, "/wc");
        told.wantNothing(one);
    }

    static void watchExists(ZooKeeper one, ZooKeeper two) throws Exception {
        Events told = new Events();
        want("exists", one.exists("/we", told), null);
        two.create("/we", null, OPEN_ACL_UNSAFE, EPHEMERAL);
        told.want(EventType.NodeCreated, "/we");
        one.exists("/we", told);
        two.setData("/we", null, -1);
        told.want(EventType.NodeDataChanged, "/we");
        one.exists("/we", told);
        two.delete("/we", -1);
        told.want(EventType.NodeDeleted, "/we");
        told.wantNothing(one);
    }

    static void watchPersistent(ZooKeeper one, ZooKeeper two) throws Exception {
        Events told = new Events();
        one.addWatch("/wp", told, AddWatchMode.PERSISTENT);
        two.create("/wp", null, OPEN_ACL_UNSAFE, PERSISTENT);
        two.setData("/wp", b("1"), -1);
        two.setData("/wp", b("2"), -1);
        two.create("/wp/a", null, OPEN_ACL_UNSAFE, PERSISTENT);
        two.create("/wp/a/deep", null, OPEN_ACL_UNSAFE, PERSISTENT);
        two.delete("/wp/a/deep", -1);
        two.delete("/wp/a", -1);
        two.delete("/wp", -1);
        told.want(EventType.NodeCreated, "/wp");
        told.want(EventType.NodeDataChanged, "/wp");
        told.want(EventType.NodeDataChanged, "/wp");
        told.want(EventType.NodeChildrenChanged, "/wp");
        told.want(EventType.NodeChildrenChanged, "/wp");
        told.want(EventType.NodeDeleted, "/wp");
        told.wantNothing(one);
    }

    static void watchRecursive(ZooKeeper one, ZooKeeper two) throws Exception {
        Events told = new Events();
        one.addWatch("/wr", told, AddWatchMode.PERSISTENT_RECURSIVE);
        two.create("/wr", null, OPEN_ACL_UNSAFE, PERSISTENT);
        two.create("/wr/a", null, OPEN_ACL_UNSAFE, PERSISTENT);
        two.create("/wr/a/deep", null, OPEN_ACL_UNSAFE, PERSISTENT);
        two.create("/wrong", null, OPEN_ACL_UNSAFE, PERSISTENT); // only its name begins the same
        two.setData("/wr/a/deep", b("1"), -1);
        two.multi(List.of(Op.delete("/wr/a/deep", -1), Op.delete("/wr/a", -1)));
        told.want(EventType.NodeCreated, "/wr");
        told.want(EventType.NodeCreated, "/wr/a");
        told.want(EventType.NodeCreated, "/wr/a/deep");
        told.want(EventType.NodeDataChanged, "/wr/a/deep");
        told.want(EventType.NodeDeleted, "/wr/a/deep");
        told.want(EventType.NodeDeleted, "/wr/a");
        told.wantNothing(one);
    }

    static void watchRemoved(ZooKeeper one, ZooKeeper two) throws Exception {
        Events told = new Events();
        one.create("/wx", null, OPEN_ACL_UNSAFE, PERSISTENT);
        one.getData("/wx", told, null);
        one.removeWatches("/wx", told, Watcher.WatcherType.Data, false);
        told.want(EventType.DataWatchRemoved, "/wx");
        one.addWatch("/wx", told, AddWatchMode.PERSISTENT_RECURSIVE);
        one.removeWatches("/wx", told, Watcher.WatcherType.Any, false);
        told.want(EventType.PersistentWatchRemoved, "/wx");
        two.setData("/wx", b("1"), -1);
        told.wantNothing(one);
        wantCode(Code.NOWATCHER, () -> one.removeWatches("/wx", told, Watcher.WatcherType.Any, false));
    }

    /** The lock of the recipes page: the lowest sequential ephemeral holds it. */
    static void lock(ZooKeeper one, ZooKeeper two) throws Exception {
        one.create("/lock", null, OPEN_ACL_UNSAFE, PERSISTENT);
        String first = one.create("/lock/l-", null, OPEN_ACL_UNSAFE, EPHEMERAL_SEQUENTIAL);
        String second = two.create("/lock/l-", null, OPEN_ACL_UNSAFE, EPHEMERAL_SEQUENTIAL);
        want("holder", "/lock/" + sorted(two.getChildren("/lock", false)).get(0), first);
        Events told = new Events();
        want("waits", two.exists(first, told) != null, true);
        one.delete(first, -1);
        told.want(EventType.NodeDeleted, first);
        want("holder", "/lock/" + sorted(two.getChildren("/lock", false)).get(0), second);
        two.delete(second, -1);
    }

    static void ephemeralGone(ZooKeeper one) throws Exception {
        Session other = connect(TIMEOUT);
        other.create("/gone", null, OPEN_ACL_UNSAFE, EPHEMERAL);
        want("ephemerals", other.getEphemerals(), "[/gone]");
        Events told = new Events();
        want("owner", one.exists("/gone", told).getEphemeralOwner(), other.getSessionId());
        other.close();
        told.want(EventType.NodeDeleted, "/gone");
        want("exists", one.exists("/gone", false), null);
    }

    static void reattached() throws Exception {
        Session s = connect(TIMEOUT);
        s.create("/reattached", null, OPEN_ACL_UNSAFE, EPHEMERAL);
        s.drop();
        Session again = new Session(TIMEOUT, new Events(), s.getSessionId(), s.getSessionPasswd());
        again.told.awaitState(KeeperState.SyncConnected);
        want("session", again.getSessionId(), s.getSessionId());
        want("owner", again.exists("/reattached", false).getEphemeralOwner(), s.getSessionId());
        again.close();
    }

    static void wrongPassword() throws Exception {
        Session s = connect(TIMEOUT);
        Session thief = new Session(TIMEOUT, new Events(), s.getSessionId(), new byte[16]);
        want("state", thief.told.states.poll(15, TimeUnit.SECONDS), KeeperState.Expired);
        // The owner was pushed off its connection at most: the session is still his.
        for (int i = 0; ; i++) {
            try {
                s.create("/still-mine", null, OPEN_ACL_UNSAFE, EPHEMERAL);
                break;
            } catch (KeeperException.ConnectionLossException e) {
                if (i == 5) {
                    throw e;
                }
                s.told.awaitState(KeeperState.SyncConnected);
            }
        }
        s.close();
    }

    static void expires(Session doomed, Events doom) throws Exception {
        doom.want(EventType.NodeDeleted, "/doomed");
        Session again = new Session(4000, new Events(), doomed.getSessionId(), doomed.getSessionPasswd());
        want("state", again.told.states.poll(15, TimeUnit.SECONDS), KeeperState.Expired);
    }

    static void restart(Session one, Session two) throws Exception {
        int n = 200;
        Events data = new Events();
        Events child = new Events();
        Events exists = new Events();
        Events recursive = new Events();
        one.create("/r", null, OPEN_ACL_UNSAFE, PERSISTENT);
        one.create("/r/data", b("before"), OPEN_ACL_UNSAFE, PERSISTENT);
        one.create("/r/tree", null, OPEN_ACL_UNSAFE, PERSISTENT);
        one.create("/r/seq", null, OPEN_ACL_UNSAFE, PERSISTENT);
        one.create("/r/ephemeral", b("mine"), OPEN_ACL_UNSAFE, EPHEMERAL);
        one.getData("/r/data", data, null);
        one.getChildren("/r/tree", child);
        one.exists("/r/missing", exists);
        one.addWatch("/r/tree", recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        long id = one.getSessionId();
        CountDownLatch acknowledged = new CountDownLatch(n);
        for (int i = 0; i < n; i++) {
            one.create("/r/seq/n-", b("" + i), OPEN_ACL_UNSAFE, PERSISTENT_SEQUENTIAL, (rc, path, ctx, name) -> {
                if (rc == 0) {
                    acknowledged.countDown();
                }
            }, null);
        }
        want("all written", acknowledged.await(20, TimeUnit.SECONDS), true);
        one.told.states.clear();
        two.told.states.clear();
        System.out.println("READY-FOR-RESTART");
        new BufferedReader(new InputStreamReader(System.in)).readLine();

        check("restart-same-session", () -> {
            one.told.awaitState(KeeperState.SyncConnected);
            two.told.awaitState(KeeperState.SyncConnected);
            want("session", one.getSessionId(), id);
        });
        check("restart-data-kept", () -> {
            want("data", s(two.getData("/r/data", false, null)), "before");
            List<String> names = sorted(two.getChildren("/r/seq", false));
            want("kept", names.size(), n);
            want("last", s(two.getData("/r/seq/" + names.get(n - 1), false, null)), "" + (n - 1));
            want("next", one.create("/r/seq/n-", null, OPEN_ACL_UNSAFE, PERSISTENT_SEQUENTIAL), "/r/seq/n-0000000200");
        });
        check("restart-ephemeral-kept", () -> {
            want("owner", two.exists("/r/ephemeral", false).getEphemeralOwner(), id);
            want("ephemerals", one.getEphemerals("/r"), "[/r/ephemeral]");
        });
        check("restart-auth-kept", () -> {
            want("data", s(one.getData("/hers", false, null)), "hers");
            wantCode(Code.NOAUTH, () -> two.getData("/hers", false, null));
        });
        check("restart-watches-fire", () -> {
            two.setData("/r/data", b("after"), -1);
            data.want(EventType.NodeDataChanged, "/r/data");
            two.create("/r/tree/a", null, OPEN_ACL_UNSAFE, PERSISTENT);
            child.want(EventType.NodeChildrenChanged, "/r/tree");
            two.create("/r/missing", null, OPEN_ACL_UNSAFE, PERSISTENT);
            exists.want(EventType.NodeCreated, "/r/missing");
            recursive.want(EventType.NodeCreated, "/r/tree/a");
        });
    }
}
