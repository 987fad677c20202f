// What the two Node programs share: checks, waiting, and the runner's words.
"use strict";
const readline = require("readline");

const PATIENCE = 20000;
let failed = false;

function withTimeout(promise, what, ms = PATIENCE) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: nothing in ${ms} ms`)), ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function check(name, body) {
    try {
        await withTimeout(body(), "check", 2 * PATIENCE);
        console.log(`ok ${name}`);
    } catch (e) {
        failed = true;
        const at = (e.stack || "").split("\n").find((l) => /(native|javascript)\.js/.test(l));
        console.log(`FAIL ${name}: ${e.message || e} (${at ? at.trim() : "?"})`);
    }
}

function want(what, got, wanted) {
    if (JSON.stringify(got) !== JSON.stringify(wanted)) {
        throw new Error(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(wanted)}`);
    }
}

// Codes of the protocol, as both libraries give them.
const NONODE = -101, NOAUTH = -102, BADVERSION = -103, NODEEXISTS = -110, NOTEMPTY = -111;

async function fails(promise, code) {
    const got = await promise.then(() => 0, (e) => e.code);
    want("error code", got, code);
}

// What watchers were told, in order.
class Events {
    constructor() {
        this.queue = [];
        this.wake = () => {};
        this.add = (e) => {
            this.queue.push(e);
            this.wake();
        };
    }

    async next() {
        if (this.queue.length === 0) {
            await withTimeout(new Promise((resolve) => (this.wake = resolve)), "event");
        }
        return this.queue.shift();
    }
}

async function restart() {
    console.log("READY-FOR-RESTART");
    const lines = readline.createInterface({ input: process.stdin });
    await new Promise((resolve) => lines.once("line", resolve));
    lines.close();
}

async function run(main) {
    try {
        await main(process.argv[2]);
        console.log("DONE");
    } catch (e) {
        failed = true;
        console.log(`FAIL setup: ${e.stack || e}`);
    }
    process.exit(failed ? 1 : 0);
}

module.exports = { Events, check, fails, restart, run, want, withTimeout, NONODE, NOAUTH, BADVERSION, NODEEXISTS, NOTEMPTY };
