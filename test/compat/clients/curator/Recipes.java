import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.cache.TreeCacheEvent;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.ZooDefs.Ids;

/** Curator's recipes between two clients. */
public class Recipes {
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
            StackTraceElement at = null;
            for (StackTraceElement s : e.getStackTrace()) {
                if (s.getClassName().startsWith("Recipes") && !s.getMethodName().startsWith("want")) {
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

    interface Value {
        Object get() throws Exception;
    }

    /** A recipe settles after its watches have come back: asks again until then. */
    static void wantSoon(String what, Value got, Object want) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(15);
        Object last = got.get();
        while (!String.valueOf(last).equals(String.valueOf(want)) && System.nanoTime() < end) {
            Thread.sleep(20);
            last = got.get();
        }
        want(what, last, want);
    }

    static <T> T take(BlockingQueue<T> q) throws Exception {
        T t = q.poll(15, TimeUnit.SECONDS);
        if (t == null) {
            throw new AssertionError("nothing came in 15 s");
        }
        return t;
    }

    /** A client whose auth, if any, is user:password of digest. */
    static CuratorFramework connect(String auth) throws Exception {
        CuratorFrameworkFactory.Builder b = CuratorFrameworkFactory.builder()
                .connectString(servers)
                .sessionTimeoutMs(30_000)
                .connectionTimeoutMs(10_000)
                .retryPolicy(new RetryNTimes(20, 200));
        if (auth != null) {
            b.authorization("digest", auth.getBytes());
        }
        CuratorFramework c = b.build();
        c.start();
        if (!c.blockUntilConnected(20, TimeUnit.SECONDS)) {
            throw new AssertionError("not connected in 20 s");
        }
        return c;
    }

    static long session(CuratorFramework c) throws Exception {
        return c.getZookeeperClient().getZooKeeper().getSessionId();
    }

    static final ExecutorService threads = Executors.newCachedThreadPool(r -> {
        Thread t = new Thread(r);
        t.setDaemon(true);
        return t;
    });

    public static void main(String[] args) throws Exception {
        servers = args[0];
        CuratorFramework one = connect("alice:secret");
        CuratorFramework two = connect(null);
        check("create-read-update-delete", () -> basics(one, two));
        check("acl-digest", () -> acl(one, two));
        check("multi-commit", () -> multiCommit(one));
        check("multi-rollback", () -> multiRollback(one));
        check("watch-data", () -> watchOnce(one, two));
        check("watch-persistent", () -> persistentWatcher(one, two));
        check("mutex", () -> mutex(one, two));
        check("read-write-lock", () -> readWriteLock(one, two));
        check("semaphore", () -> semaphore(one, two));
        check("leader-selector", () -> selector(one, two));
        check("leader-latch", () -> latch(one, two));
        check("persistent-node", () -> persistentNode(one, two));
        check("group-member", () -> groupMember(one, two));
        check("curator-cache", () -> curatorCache(one, two));
        check("tree-cache", () -> treeCache(one, two));
        check("shared-count", () -> sharedCount(one, two));
        check("atomic-long", () -> atomicLong(one, two));
        check("barrier", () -> barrier(one, two));
        check("double-barrier", () -> doubleBarrier(one, two));
        check("queue", () -> queue(one, two));
        restart(one, two);
        one.close();
        two.close();
        System.out.println("DONE");
        System.exit(failed ? 1 : 0);
    }

    static void basics(CuratorFramework one, CuratorFramework two) throws Exception {
        one.create().creatingParentContainersIfNeeded().forPath("/basics/deep/node", "v0".getBytes());
        want("data", new String(two.getData().forPath("/basics/deep/node")), "v0");
        want("version", two.setData().withVersion(0).forPath("/basics/deep/node", "v1".getBytes()).getVersion(), 1);
        want("children", one.getChildren().forPath("/basics/deep"), "[node]");
        one.create().orSetData().forPath("/basics/deep/node", "v2".getBytes());
        want("data", new String(two.getData().forPath("/basics/deep/node")), "v2");
        String guarded = one.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/basics/p-");
        want("owner", two.checkExists().forPath(guarded).getEphemeralOwner(), session(one));
        one.delete().guaranteed().forPath(guarded);
        one.delete().deletingChildrenIfNeeded().forPath("/basics");
        want("exists", two.checkExists().forPath("/basics"), null);
    }

    static void acl(CuratorFramework one, CuratorFramework two) throws Exception {
        one.create().withACL(Ids.CREATOR_ALL_ACL).forPath("/acl", "hers".getBytes());
        want("data", new String(one.getData().forPath("/acl")), "hers");
        try {
            two.getData().forPath("/acl");
            throw new AssertionError("a second client read what only alice may");
        } catch (KeeperException.NoAuthException e) {
            CuratorFramework alice = connect("alice:secret");
            want("data", new String(alice.getData().forPath("/acl")), "hers");
            alice.close();
        }
    }

    static void multiCommit(CuratorFramework one) throws Exception {
        List<CuratorTransactionResult> r = one.transaction().forOperations(
                one.transactionOp().create().forPath("/multi", "0".getBytes()),
                one.transactionOp().create().forPath("/multi/a"),
                one.transactionOp().setData().withVersion(0).forPath("/multi", "1".getBytes()),
                one.transactionOp().check().withVersion(1).forPath("/multi"),
                one.transactionOp().delete().forPath("/multi/a"));
        want("results", r.size(), 5);
        want("path", r.get(0).getResultPath(), "/multi");
        want("version", r.get(2).getResultStat().getVersion(), 1);
        want("data", new String(one.getData().forPath("/multi")), "1");
    }

    static void multiRollback(CuratorFramework one) throws Exception {
        try {
            one.transaction().forOperations(
                    one.transactionOp().create().forPath("/multi/b"),
                    one.transactionOp().delete().forPath("/multi/none"));
            throw new AssertionError("a multi with a missing node was accepted");
        } catch (KeeperException.NoNodeException e) {
            want("results", e.getResults().size(), 2);
        }
        want("rolled back", one.checkExists().forPath("/multi/b"), null);
    }

    static void watchOnce(CuratorFramework one, CuratorFramework two) throws Exception {
        BlockingQueue<EventType> told = new LinkedBlockingQueue<>();
        one.create().forPath("/watched");
        one.getData().usingWatcher((org.apache.curator.framework.api.CuratorWatcher) e -> told.add(e.getType())).forPath("/watched");
        two.setData().forPath("/watched", "x".getBytes());
        want("event", take(told), EventType.NodeDataChanged);
    }

    static void persistentWatcher(CuratorFramework one, CuratorFramework two) throws Exception {
        BlockingQueue<String> told = new LinkedBlockingQueue<>();
        try (PersistentWatcher w = new PersistentWatcher(one, "/pw", true)) {
            w.getListenable().addListener(e -> {
                if (e.getType() != EventType.None) {
                    told.add(e.getType() + " " + e.getPath());
                }
            });
            CountDownLatch set = new CountDownLatch(1);
            w.getResetListenable().addListener(set::countDown);
            w.start();
            want("watch is set", set.await(15, TimeUnit.SECONDS), true);
            two.create().creatingParentsIfNeeded().forPath("/pw/a/b");
            two.setData().forPath("/pw/a/b", "x".getBytes());
            two.delete().forPath("/pw/a/b");
            want("event", take(told), "NodeCreated /pw");
            want("event", take(told), "NodeCreated /pw/a");
            want("event", take(told), "NodeCreated /pw/a/b");
            want("event", take(told), "NodeDataChanged /pw/a/b");
            want("event", take(told), "NodeDeleted /pw/a/b");
        }
    }

    static void mutex(CuratorFramework one, CuratorFramework two) throws Exception {
        InterProcessMutex a = new InterProcessMutex(one, "/mutex");
        InterProcessMutex b = new InterProcessMutex(two, "/mutex");
        a.acquire();
        a.acquire(); // reentrant
        want("taken twice", b.acquire(200, TimeUnit.MILLISECONDS), false);
        Future<Boolean> waiting = threads.submit(() -> {
            boolean got = b.acquire(15, TimeUnit.SECONDS);
            b.release();
            return got;
        });
        wantSoon("waiters", () -> a.getParticipantNodes().size(), 2);
        a.release();
        want("still held", waiting.isDone(), false);
        a.release();
        want("taken after the release", waiting.get(15, TimeUnit.SECONDS), true);
    }

    static void readWriteLock(CuratorFramework one, CuratorFramework two) throws Exception {
        InterProcessReadWriteLock a = new InterProcessReadWriteLock(one, "/rwlock");
        InterProcessReadWriteLock b = new InterProcessReadWriteLock(two, "/rwlock");
        a.readLock().acquire();
        want("second reader", b.readLock().acquire(10, TimeUnit.SECONDS), true);
        b.readLock().release();
        want("writer beside a reader", b.writeLock().acquire(200, TimeUnit.MILLISECONDS), false);
        a.readLock().release();
        want("writer", b.writeLock().acquire(10, TimeUnit.SECONDS), true);
        want("reader beside a writer", a.readLock().acquire(200, TimeUnit.MILLISECONDS), false);
        b.writeLock().release();
    }

    static void semaphore(CuratorFramework one, CuratorFramework two) throws Exception {
        InterProcessSemaphoreV2 a = new InterProcessSemaphoreV2(one, "/semaphore", 2);
        InterProcessSemaphoreV2 b = new InterProcessSemaphoreV2(two, "/semaphore", 2);
        Lease first = a.acquire();
        Lease second = b.acquire(10, TimeUnit.SECONDS);
        want("third", b.acquire(200, TimeUnit.MILLISECONDS), null);
        a.returnLease(first);
        Lease third = b.acquire(10, TimeUnit.SECONDS);
        want("third after a return", third != null, true);
        b.returnLease(second);
        b.returnLease(third);
    }

    static class Reign extends LeaderSelectorListenerAdapter {
        final String name;
        final BlockingQueue<String> leaders;
        final CountDownLatch over = new CountDownLatch(1);

        Reign(String name, BlockingQueue<String> leaders) {
            this.name = name;
            this.leaders = leaders;
        }

        @Override
        public void takeLeadership(CuratorFramework c) throws Exception {
            leaders.add(name);
            over.await();
        }
    }

    static void selector(CuratorFramework one, CuratorFramework two) throws Exception {
        BlockingQueue<String> leaders = new LinkedBlockingQueue<>();
        Reign first = new Reign("one", leaders);
        Reign second = new Reign("two", leaders);
        try (LeaderSelector a = new LeaderSelector(one, "/selector", first);
                LeaderSelector b = new LeaderSelector(two, "/selector", second)) {
            a.start();
            want("leader", take(leaders), "one");
            b.start();
            wantSoon("participants", () -> a.getParticipants().size(), 2);
            want("leads beside another", leaders.size(), 0);
            first.over.countDown();
            want("next leader", take(leaders), "two");
            second.over.countDown();
        }
    }

    static void latch(CuratorFramework one, CuratorFramework two) throws Exception {
        LeaderLatch a = new LeaderLatch(one, "/latch", "a");
        LeaderLatch b = new LeaderLatch(two, "/latch", "b");
        a.start();
        want("leads", a.await(15, TimeUnit.SECONDS), true);
        b.start();
        wantSoon("participants", () -> b.getParticipants().size(), 2);
        want("second leader", b.hasLeadership(), false);
        want("leader seen by the other", b.getLeader().getId(), "a");
        a.close();
        want("leads after", b.await(15, TimeUnit.SECONDS), true);
        b.close();
    }

    static void persistentNode(CuratorFramework one, CuratorFramework two) throws Exception {
        try (PersistentNode n = new PersistentNode(one, CreateMode.EPHEMERAL, false, "/persistent-node", "x".getBytes())) {
            n.start();
            want("created", n.waitForInitialCreate(15, TimeUnit.SECONDS), true);
            want("owner", two.checkExists().forPath("/persistent-node").getEphemeralOwner(), session(one));
            two.delete().forPath("/persistent-node");
            wantSoon("comes back", () -> two.checkExists().forPath("/persistent-node") != null, true);
            n.setData("y".getBytes());
            wantSoon("data", () -> new String(two.getData().forPath("/persistent-node")), "y");
        }
        want("closed", two.checkExists().forPath("/persistent-node"), null);
    }

    static void groupMember(CuratorFramework one, CuratorFramework two) throws Exception {
        try (GroupMember a = new GroupMember(one, "/group", "a"); GroupMember b = new GroupMember(two, "/group", "b")) {
            a.start();
            b.start();
            wantSoon("members", () -> new java.util.TreeSet<>(a.getCurrentMembers().keySet()), "[a, b]");
            wantSoon("members", () -> new java.util.TreeSet<>(b.getCurrentMembers().keySet()), "[a, b]");
        }
    }

    static void curatorCache(CuratorFramework one, CuratorFramework two) throws Exception {
        two.create().creatingParentsIfNeeded().forPath("/cache/a/b", "0".getBytes());
        BlockingQueue<String> told = new LinkedBlockingQueue<>();
        CountDownLatch loaded = new CountDownLatch(1);
        try (CuratorCache c = CuratorCache.build(one, "/cache")) {
            c.listenable().addListener(CuratorCacheListener.builder()
                    .forInitialized(loaded::countDown)
                    .forCreates(d -> told.add("created " + d.getPath()))
                    .forChanges((old, now) -> told.add("changed " + now.getPath() + " " + new String(now.getData())))
                    .forDeletes(d -> told.add("deleted " + d.getPath()))
                    .afterInitialized()
                    .build());
            c.start();
            want("loaded", loaded.await(15, TimeUnit.SECONDS), true);
            want("data", new String(c.get("/cache/a/b").map(ChildData::getData).orElse(new byte[0])), "0");
            two.setData().forPath("/cache/a/b", "1".getBytes());
            want("event", take(told), "changed /cache/a/b 1");
            two.create().forPath("/cache/c");
            want("event", take(told), "created /cache/c");
            two.delete().forPath("/cache/a/b");
            want("event", take(told), "deleted /cache/a/b");
            want("size", c.size(), 3);
        }
    }

    @SuppressWarnings("deprecation") // still the cache of most deployed programs
    static void treeCache(CuratorFramework one, CuratorFramework two) throws Exception {
        two.create().creatingParentsIfNeeded().forPath("/tree/a/b", "0".getBytes());
        BlockingQueue<String> told = new LinkedBlockingQueue<>();
        try (TreeCache c = new TreeCache(one, "/tree")) {
            c.getListenable().addListener((f, e) ->
                    told.add(e.getType() + (e.getData() == null ? "" : " " + e.getData().getPath())));
            c.start();
            for (String t = ""; !t.equals(TreeCacheEvent.Type.INITIALIZED.name()); ) {
                t = take(told);
            }
            want("children", c.getCurrentChildren("/tree").keySet(), "[a]");
            two.setData().forPath("/tree/a/b", "1".getBytes());
            want("event", take(told), "NODE_UPDATED /tree/a/b");
            two.create().forPath("/tree/a/c");
            want("event", take(told), "NODE_ADDED /tree/a/c");
            two.delete().deletingChildrenIfNeeded().forPath("/tree/a/c");
            want("event", take(told), "NODE_REMOVED /tree/a/c");
        }
    }

    static void sharedCount(CuratorFramework one, CuratorFramework two) throws Exception {
        BlockingQueue<Integer> told = new LinkedBlockingQueue<>();
        try (SharedCount a = new SharedCount(one, "/count", 10); SharedCount b = new SharedCount(two, "/count", 10)) {
            a.start();
            b.start();
            b.addListener(new SharedCountListener() {
                @Override
                public void countHasChanged(SharedCountReader r, int n) {
                    told.add(n);
                }

                @Override
                public void stateChanged(CuratorFramework c, ConnectionState s) {}
            });
            a.setCount(11);
            want("told", take(told), 11);
            want("set if unchanged", b.trySetCount(b.getVersionedValue(), 12), true);
            wantSoon("count", a::getCount, 12);
        }
    }

    static void atomicLong(CuratorFramework one, CuratorFramework two) throws Exception {
        List<Future<Integer>> done = new ArrayList<>();
        for (CuratorFramework c : List.of(one, two)) {
            done.add(threads.submit(() -> {
                DistributedAtomicLong n = new DistributedAtomicLong(c, "/long", new RetryNTimes(200, 2));
                int added = 0;
                for (int i = 0; i < 25; i++) {
                    added += n.increment().succeeded() ? 1 : 0;
                }
                return added;
            }));
        }
        int added = done.get(0).get(30, TimeUnit.SECONDS) + done.get(1).get(30, TimeUnit.SECONDS);
        want("sum", new DistributedAtomicLong(one, "/long", new RetryNTimes(3, 10)).get().postValue(), added);
    }

    static void barrier(CuratorFramework one, CuratorFramework two) throws Exception {
        DistributedBarrier a = new DistributedBarrier(one, "/barrier");
        DistributedBarrier b = new DistributedBarrier(two, "/barrier");
        a.setBarrier();
        want("passed a set barrier", b.waitOnBarrier(200, TimeUnit.MILLISECONDS), false);
        Future<Boolean> waiting = threads.submit(() -> b.waitOnBarrier(15, TimeUnit.SECONDS));
        a.removeBarrier();
        want("passed", waiting.get(20, TimeUnit.SECONDS), true);
    }

    static void doubleBarrier(CuratorFramework one, CuratorFramework two) throws Exception {
        DistributedDoubleBarrier a = new DistributedDoubleBarrier(one, "/double", 2);
        DistributedDoubleBarrier b = new DistributedDoubleBarrier(two, "/double", 2);
        Future<Boolean> entered = threads.submit(() -> a.enter(15, TimeUnit.SECONDS));
        want("second enters", b.enter(15, TimeUnit.SECONDS), true);
        want("first enters", entered.get(20, TimeUnit.SECONDS), true);
        Future<Boolean> left = threads.submit(() -> a.leave(15, TimeUnit.SECONDS));
        want("second leaves", b.leave(15, TimeUnit.SECONDS), true);
        want("first leaves", left.get(20, TimeUnit.SECONDS), true);
    }

    static void queue(CuratorFramework one, CuratorFramework two) throws Exception {
        SimpleDistributedQueue in = new SimpleDistributedQueue(one, "/queue");
        SimpleDistributedQueue out = new SimpleDistributedQueue(two, "/queue");
        Future<List<String>> taken = threads.submit(() -> {
            List<String> l = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                byte[] b = out.poll(15, TimeUnit.SECONDS);
                l.add(b == null ? "none" : new String(b));
            }
            return l;
        });
        List<String> sent = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            in.offer(("item " + i).getBytes());
            sent.add("item " + i);
        }
        want("taken", taken.get(20, TimeUnit.SECONDS), sent);
        want("empty", out.poll(), null);
    }

    static void restart(CuratorFramework one, CuratorFramework two) throws Exception {
        BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();
        BlockingQueue<String> told = new LinkedBlockingQueue<>();
        two.getConnectionStateListenable().addListener((c, s) -> states.add(s));
        long first = session(one);
        long second = session(two);
        InterProcessMutex held = new InterProcessMutex(one, "/r/mutex");
        held.acquire();
        PersistentNode node = new PersistentNode(one, CreateMode.EPHEMERAL, false, "/r/node", "x".getBytes());
        node.start();
        want("created", node.waitForInitialCreate(15, TimeUnit.SECONDS), true);
        long created = two.checkExists().forPath("/r/node").getCzxid();
        LeaderLatch latch = new LeaderLatch(one, "/r/latch");
        LeaderLatch rival = new LeaderLatch(two, "/r/latch");
        latch.start();
        want("leads", latch.await(15, TimeUnit.SECONDS), true);
        rival.start();
        wantSoon("participants", () -> rival.getParticipants().size(), 2);
        two.create().creatingParentsIfNeeded().forPath("/r/cache/kept", "before".getBytes());
        CuratorCache cache = CuratorCache.build(one, "/r/cache");
        CountDownLatch loaded = new CountDownLatch(1);
        cache.listenable().addListener(CuratorCacheListener.builder()
                .forInitialized(loaded::countDown)
                .forChanges((old, now) -> told.add(now.getPath() + " " + new String(now.getData())))
                .afterInitialized()
                .build());
        cache.start();
        want("loaded", loaded.await(15, TimeUnit.SECONDS), true);
        SharedCount count = new SharedCount(one, "/r/count", 1);
        count.start();

        System.out.println("READY-FOR-RESTART");
        new BufferedReader(new InputStreamReader(System.in)).readLine();

        check("restart-same-session", () -> {
            for (ConnectionState s = take(states); s != ConnectionState.RECONNECTED; s = states.poll(30, TimeUnit.SECONDS)) {
                want("state", s, ConnectionState.SUSPENDED);
            }
            one.sync().forPath("/");
            want("session", session(one), first);
            want("session", session(two), second);
        });
        check("restart-ephemeral-kept", () -> {
            want("owner", two.checkExists().forPath("/r/node").getEphemeralOwner(), first);
            want("the same node", two.checkExists().forPath("/r/node").getCzxid(), created);
        });
        check("restart-lock-kept", () -> {
            InterProcessMutex other = new InterProcessMutex(two, "/r/mutex");
            want("held", held.isAcquiredInThisProcess(), true);
            want("taken beside the holder", other.acquire(300, TimeUnit.MILLISECONDS), false);
            held.release();
            want("taken after the release", other.acquire(10, TimeUnit.SECONDS), true);
            other.release();
        });
        check("restart-one-leader", () ->
                wantSoon("leaders", () -> (latch.hasLeadership() ? 1 : 0) + (rival.hasLeadership() ? 1 : 0), 1));
        check("restart-cache-follows", () -> {
            two.setData().forPath("/r/cache/kept", "after".getBytes());
            want("told", take(told), "/r/cache/kept after");
        });
        check("restart-count-follows", () -> {
            SharedCount other = new SharedCount(two, "/r/count", 1);
            other.start();
            other.setCount(2);
            wantSoon("count", count::getCount, 2);
        });
        check("restart-auth-kept", () -> want("data", new String(one.getData().forPath("/acl")), "hers"));
        for (AutoCloseable c : List.of(node, rival, latch, cache, count)) {
            c.close();
        }
    }
}
