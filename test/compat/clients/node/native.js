// The npm package zookeeper: the C client (3.8.2, single-threaded) built into
// Node. It has no call for multi.
"use strict";
const ZooKeeper = require("zookeeper");
const { Events, check, fails, restart, run, want, withTimeout, NONODE, NOAUTH, BADVERSION, NODEEXISTS, NOTEMPTY } =
    require("./suite.js");
const K = ZooKeeper.constants;
// The library's own constants for these are not what its calls take.
const CREATOR_ALL = [{ perms: K.ZOO_PERM_ALL, scheme: "auth", auth: "" }];
const READ_ONLY = [{ perms: K.ZOO_PERM_READ, scheme: "world", auth: "anyone" }];
const CHANGED = 3, CREATED = 1, DELETED = 2, CHILD = 4;

class Session {
    static async connect(servers) {
        const s = new Session();
        s.states = new Events();
        s.client = new ZooKeeper({
            connect: servers, timeout: 30000, debug_level: K.ZOO_LOG_LEVEL_ERROR, host_order_deterministic: false,
        });
        s.client.on("connect", () => s.states.add("connect"));
        s.client.on("connecting", () => s.states.add("connecting"));
        s.client.on("close", () => s.states.add("close"));
        s.client.init({});
        await s.await("connect");
        return s;
    }

    async await(state) {
        for (let s = ""; s !== state; s = await this.states.next()) {
            if (s === "close") throw new Error("session closed");
        }
    }

    // Calls end in callback(rc, error, …values).
    call(method, ...args) {
        return withTimeout(new Promise((resolve, reject) => {
            this.client[method](...args, (rc, error, ...values) => {
                if (rc === 0) resolve(values);
                else reject(Object.assign(new Error(`${method}: ${error}`), { code: rc }));
            });
        }), method);
    }

    async create(path, data = "", flags = 0) {
        return (await this.call("a_create", path, data, flags))[0];
    }

    async set(path, data, version = -1) {
        return (await this.call("a_set", path, data, version))[0];
    }

    async get(path, watcher) {
        const [stat, data] = await (watcher ? this.call("aw_get", path, watcher) : this.call("a_get", path, false));
        return [String(data), stat];
    }

    async exists(path, watcher) {
        return (await (watcher ? this.call("aw_exists", path, watcher) : this.call("a_exists", path, false)))[0];
    }

    async children(path, watcher) {
        return (await (watcher ? this.call("aw_get_children", path, watcher)
            : this.call("a_get_children", path, false)))[0].sort();
    }

    remove(path, version = -1) {
        return this.call("a_delete_", path, version);
    }

    auth(who) {
        return withTimeout(new Promise((resolve, reject) => {
            this.client.add_auth("digest", who, (rc) => (rc === 0 ? resolve() : reject(new Error(`auth: ${rc}`))));
        }), "auth");
    }

    id() {
        return this.client.client_id;
    }

    async close() {
        this.client.close();
    }
}

function watcher(events) {
    return (type, state, path) => {
        if (type > 0) events.add([type, path]);
    };
}

async function told(events, type, path) {
    want("event", await events.next(), [type, path]);
}

run(async (servers) => {
    const one = await Session.connect(servers);
    const two = await Session.connect(servers);

    await check("create-read-update-delete", async () => {
        want("path", await one.create("/basics", "v0"), "/basics");
        want("data", (await two.get("/basics"))[0], "v0");
        want("version", (await two.set("/basics", "v1", 0)).version, 1);
        want("data", (await one.get("/basics"))[0], "v1");
        await one.create("/basics/b");
        await one.create("/basics/a");
        want("children", await two.children("/basics"), ["a", "b"]);
        await one.remove("/basics/a", 0);
        await one.remove("/basics/b");
        await one.remove("/basics", 1);
        await fails(two.exists("/basics"), NONODE);
        await one.call("a_sync", "/");
    });
    await check("errors", async () => {
        await one.create("/errors");
        await one.create("/errors/x");
        await fails(one.create("/errors"), NODEEXISTS);
        await fails(one.create("/none/x"), NONODE);
        await fails(one.remove("/errors"), NOTEMPTY);
        await fails(one.set("/errors", "", 7), BADVERSION);
    });
    await check("sequential-container-ttl", async () => {
        await one.create("/kinds");
        want("name", await one.create("/kinds/s-", "", K.ZOO_PERSISTENT_SEQUENTIAL), "/kinds/s-0000000000");
        want("name", await one.create("/kinds/s-", "", K.ZOO_EPHEMERAL_SEQUENTIAL), "/kinds/s-0000000001");
        await one.create("/kinds/c", "", K.ZOO_CONTAINER);
        await one.call("a_createTtl", "/kinds/t", "", K.ZOO_PERSISTENT_WITH_TTL, 3600000);
    });
    await check("acl-digest", async () => {
        await one.auth("alice:secret");
        await one.create("/acl", "hers");
        await one.call("a_set_acl", "/acl", 0, CREATOR_ALL);
        want("data", (await one.get("/acl"))[0], "hers");
        const [acls] = await one.call("a_get_acl", "/acl");
        want("id", acls[0].auth, "alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=");
        await one.create("/hers", "hers");
        await one.call("a_set_acl", "/hers", 0, CREATOR_ALL);
    });
    await check("acl-second-client-refused", async () => {
        await fails(two.get("/acl"), NOAUTH);
        await fails(two.set("/acl", "x"), NOAUTH);
        await fails(two.create("/acl/x"), NOAUTH);
        await one.call("a_set_acl", "/acl", 1, READ_ONLY);
        want("data", (await two.get("/acl"))[0], "hers");
        await fails(two.set("/acl", "x"), NOAUTH);
    });
    await check("watch-data", async () => {
        const events = new Events();
        await one.create("/wd", "0");
        await one.get("/wd", watcher(events));
        await two.set("/wd", "1");
        await told(events, CHANGED, "/wd");
        await one.exists("/wd", watcher(events));
        await two.remove("/wd");
        await told(events, DELETED, "/wd");
    });
    await check("watch-child", async () => {
        const events = new Events();
        await one.create("/wc");
        await one.children("/wc", watcher(events));
        await two.create("/wc/a");
        await told(events, CHILD, "/wc");
    });
    await check("watch-exists", async () => {
        const events = new Events();
        await fails(one.exists("/we", watcher(events)), NONODE);
        await two.create("/we");
        await told(events, CREATED, "/we");
    });
    await check("lock-between-two", async () => {
        const events = new Events();
        await one.create("/lock");
        const first = await one.create("/lock/l-", "", K.ZOO_EPHEMERAL_SEQUENTIAL);
        const second = await two.create("/lock/l-", "", K.ZOO_EPHEMERAL_SEQUENTIAL);
        want("holder", "/lock/" + (await two.children("/lock"))[0], first);
        await two.exists(first, watcher(events));
        await one.remove(first);
        await told(events, DELETED, first);
        want("holder", "/lock/" + (await two.children("/lock"))[0], second);
    });
    await check("ephemeral-gone-on-close", async () => {
        const events = new Events();
        const other = await Session.connect(servers);
        await other.create("/gone", "", K.ZOO_EPHEMERAL);
        want("owner", (await one.exists("/gone", watcher(events))).ephemeralOwner, other.id());
        await other.close();
        await told(events, DELETED, "/gone");
    });

    const data = new Events(), child = new Events(), exists = new Events();
    const id = one.id();
    await one.create("/r");
    await one.create("/r/data", "before");
    await one.create("/r/tree");
    await one.create("/r/ephemeral", "", K.ZOO_EPHEMERAL);
    await Promise.all(Array.from({ length: 100 }, (_, i) =>
        one.create("/r/tree/n-", String(i), K.ZOO_PERSISTENT_SEQUENTIAL)));
    await one.get("/r/data", watcher(data));
    await one.children("/r/tree", watcher(child));
    await fails(one.exists("/r/missing", watcher(exists)), NONODE);
    await restart();

    await check("restart-same-session", async () => {
        await one.await("connect");
        await two.await("connect");
        want("session", one.id(), id);
    });
    await check("restart-data-kept", async () => {
        want("data", (await two.get("/r/data"))[0], "before");
        want("kept", (await two.children("/r/tree")).length, 100);
        want("last", (await two.get("/r/tree/n-0000000099"))[0], "99");
    });
    await check("restart-ephemeral-kept", async () => {
        want("owner", (await two.exists("/r/ephemeral")).ephemeralOwner, id);
    });
    await check("restart-auth-kept", async () => {
        want("data", (await one.get("/hers"))[0], "hers");
        await fails(two.get("/hers"), NOAUTH);
    });
    await check("restart-watches-fire", async () => {
        await two.set("/r/data", "after");
        await told(data, CHANGED, "/r/data");
        await two.create("/r/tree/last");
        await told(child, CHILD, "/r/tree");
        await two.create("/r/missing");
        await told(exists, CREATED, "/r/missing");
    });
    await one.close();
    await two.close();
});
