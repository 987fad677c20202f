// node-zookeeper-client, the client written in JavaScript.
"use strict";
const zookeeper = require("node-zookeeper-client");
const { Events, check, fails, restart, run, want, withTimeout, NONODE, NOAUTH, BADVERSION, NODEEXISTS, NOTEMPTY } =
    require("./suite.js");
const { ACL, CreateMode, Event, Id, Permission } = zookeeper;

class Session {
    constructor(servers) {
        this.client = zookeeper.createClient(servers, { sessionTimeout: 30000, spinDelay: 100, retries: 0 });
        this.states = new Events();
        this.client.on("state", (s) => this.states.add(s.getName()));
    }

    static async connect(servers) {
        const s = new Session(servers);
        s.client.connect();
        await s.await("SYNC_CONNECTED");
        return s;
    }

    async await(state) {
        for (let s = ""; s !== state; s = await this.states.next()) {
            if (s === "EXPIRED") throw new Error("session expired");
        }
    }

    // Waits for the connection after a restart. The reference server may leave a
    // connection that it took while starting open and unanswered, and this
    // library waits on such a one for ever: it is closed here after a while.
    async reconnected() {
        const nudge = setInterval(() => this.client.connectionManager.socket.destroy(), 5000);
        try {
            await this.await("SYNC_CONNECTED");
        } finally {
            clearInterval(nudge);
        }
    }

    // The answer of a call as [error's or first value, …]: calls end in a callback.
    call(method, ...args) {
        return withTimeout(new Promise((resolve, reject) => {
            this.client[method](...args, (err, ...values) => (err ? reject(err) : resolve(values)));
        }), method);
    }

    async create(path, data = "", mode = CreateMode.PERSISTENT, acl = ACL.OPEN_ACL_UNSAFE) {
        return (await this.call("create", path, Buffer.from(data), acl, mode))[0];
    }

    async set(path, data, version = -1) {
        return (await this.call("setData", path, Buffer.from(data), version))[0];
    }

    async get(path, watcher) {
        const [data, stat] = await (watcher ? this.call("getData", path, watcher) : this.call("getData", path));
        return [String(data), stat];
    }

    async exists(path, watcher) {
        return (await (watcher ? this.call("exists", path, watcher) : this.call("exists", path)))[0];
    }

    async children(path, watcher) {
        return (await (watcher ? this.call("getChildren", path, watcher) : this.call("getChildren", path)))[0].sort();
    }

    remove(path, version = -1) {
        return this.call("remove", path, version);
    }

    id() {
        return this.client.getSessionId().toString("hex");
    }

    async close() {
        this.client.close();
        await this.await("DISCONNECTED");
    }
}

async function told(events, type, path) {
    const e = await events.next();
    want("event", [e.getName(), e.getPath()], [Event[type] ? type : "?", path]);
}

const owner = (stat) => stat.ephemeralOwner.toString("hex");

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
        await one.call("removeRecursive", "/basics", -1);
        want("exists", await two.exists("/basics"), null);
    });
    await check("errors", async () => {
        await one.call("mkdirp", "/errors/x");
        await fails(one.create("/errors"), NODEEXISTS);
        await fails(one.create("/none/x"), NONODE);
        await fails(one.remove("/errors"), NOTEMPTY);
        await fails(one.set("/errors", "", 7), BADVERSION);
    });
    await check("sequential", async () => {
        await one.create("/seq");
        want("name", await one.create("/seq/n-", "", CreateMode.PERSISTENT_SEQUENTIAL), "/seq/n-0000000000");
        want("name", await one.create("/seq/n-", "", CreateMode.EPHEMERAL_SEQUENTIAL), "/seq/n-0000000001");
    });
    await check("acl-digest", async () => {
        one.client.addAuthInfo("digest", Buffer.from("alice:secret"));
        await one.create("/acl", "hers", CreateMode.PERSISTENT, ACL.CREATOR_ALL_ACL);
        await one.create("/hers", "hers", CreateMode.PERSISTENT, ACL.CREATOR_ALL_ACL);
        want("data", (await one.get("/acl"))[0], "hers");
        const [acls] = await one.call("getACL", "/acl");
        want("id", acls[0].id.id, "alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=");
    });
    await check("acl-second-client-refused", async () => {
        await fails(two.get("/acl"), NOAUTH);
        await fails(two.set("/acl", "x"), NOAUTH);
        await fails(two.create("/acl/x"), NOAUTH);
        await one.call("setACL", "/acl", [new ACL(Permission.READ, Id.ANYONE_ID_UNSAFE)], 0);
        want("data", (await two.get("/acl"))[0], "hers");
        await fails(two.set("/acl", "x"), NOAUTH);
    });
    await check("multi-commit", async () => {
        const t = one.client.transaction()
            .create("/multi", Buffer.from("0"))
            .create("/multi/a")
            .setData("/multi", Buffer.from("1"), 0)
            .check("/multi", 1)
            .remove("/multi/a", -1);
        const results = await new Promise((ok, no) => t.commit((err, r) => (err ? no(err) : ok(r))));
        want("results", results.length, 5);
        want("data", (await two.get("/multi"))[0], "1");
    });
    await check("multi-rollback", async () => {
        const t = one.client.transaction().create("/multi/b").check("/multi", 99).create("/multi/c");
        const [err, results] = await new Promise((ok) => t.commit((e, r) => ok([e, r])));
        want("code", err && err.code, BADVERSION);
        want("results", results.map((r) => r.err), [0, BADVERSION, -2]);
        want("exists", await two.exists("/multi/b"), null);
    });
    await check("watch-data", async () => {
        const events = new Events();
        await one.create("/wd", "0");
        await one.get("/wd", events.add);
        await two.set("/wd", "1");
        await told(events, "NODE_DATA_CHANGED", "/wd");
        await one.exists("/wd", events.add);
        await two.remove("/wd");
        await told(events, "NODE_DELETED", "/wd");
    });
    await check("watch-child", async () => {
        const events = new Events();
        await one.create("/wc");
        await one.children("/wc", events.add);
        await two.set("/wc", "not a child");
        await two.create("/wc/a");
        await told(events, "NODE_CHILDREN_CHANGED", "/wc");
    });
    await check("watch-exists", async () => {
        const events = new Events();
        want("exists", await one.exists("/we", events.add), null);
        await two.create("/we");
        await told(events, "NODE_CREATED", "/we");
    });
    await check("lock-between-two", async () => {
        const events = new Events();
        await one.create("/lock");
        const first = await one.create("/lock/l-", "", CreateMode.EPHEMERAL_SEQUENTIAL);
        const second = await two.create("/lock/l-", "", CreateMode.EPHEMERAL_SEQUENTIAL);
        want("holder", "/lock/" + (await two.children("/lock"))[0], first);
        await two.exists(first, events.add);
        await one.remove(first);
        await told(events, "NODE_DELETED", first);
        want("holder", "/lock/" + (await two.children("/lock"))[0], second);
    });
    await check("ephemeral-gone-on-close", async () => {
        const events = new Events();
        const other = await Session.connect(servers);
        await other.create("/gone", "", CreateMode.EPHEMERAL);
        want("owner", owner(await one.exists("/gone", events.add)), other.id());
        await other.close();
        await told(events, "NODE_DELETED", "/gone");
    });

    const data = new Events(), child = new Events(), exists = new Events();
    const id = one.id();
    await one.create("/r");
    await one.create("/r/data", "before");
    await one.create("/r/tree");
    await one.create("/r/ephemeral", "", CreateMode.EPHEMERAL);
    await Promise.all(Array.from({ length: 100 }, (_, i) =>
        one.create("/r/tree/n-", String(i), CreateMode.PERSISTENT_SEQUENTIAL)));
    await one.get("/r/data", data.add);
    await one.children("/r/tree", child.add);
    await one.exists("/r/missing", exists.add);
    await restart();

    await check("restart-same-session", async () => {
        await Promise.all([one.reconnected(), two.reconnected()]);
        want("session", one.id(), id);
    });
    await check("restart-data-kept", async () => {
        want("data", (await two.get("/r/data"))[0], "before");
        want("kept", (await two.children("/r/tree")).length, 100);
        want("last", (await two.get("/r/tree/n-0000000099"))[0], "99");
    });
    await check("restart-ephemeral-kept", async () => {
        want("owner", owner(await two.exists("/r/ephemeral")), id);
    });
    await check("restart-auth-kept", async () => {
        want("data", (await one.get("/hers"))[0], "hers");
        await fails(two.get("/hers"), NOAUTH);
    });
    await check("restart-watches-fire", async () => {
        await two.set("/r/data", "after");
        await told(data, "NODE_DATA_CHANGED", "/r/data");
        await two.create("/r/tree/last");
        await told(child, "NODE_CHILDREN_CHANGED", "/r/tree");
        await two.create("/r/missing");
        await told(exists, "NODE_CREATED", "/r/missing");
    });
    await one.close();
    await two.close();
});
