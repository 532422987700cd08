/**
 * `Broker`, the launcher, from Node and from Bun: when the broker is there, when it is gone, and what its creator's
 * environment says meanwhile.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { bundleLibrary, type LibraryBundle, type Runtime } from "../support/library-bundle.ts";
import { processesOf, readProc, until } from "../support/processes.ts";

let library: LibraryBundle;
beforeAll(async () => {
  library = await bundleLibrary();
});
afterAll(() => library[Symbol.dispose]());

/** Nothing of a broker: no process that knows its pipe, no directory. */
const isGone = (pipe: string): boolean =>
  processesOf(dirname(pipe)).length === 0 &&
  processesOf(library.runtimeDirectory).filter(isBroker).length === 0 &&
  readdirSync(library.runtimeDirectory).length === 0;
const isBroker = (pid: number): boolean => readProc(pid, "cmdline").includes("cli/main.js\0start");
const brokers = (): readonly number[] => processesOf(library.runtimeDirectory).filter(isBroker);

/** A creator's death is heard of at once, and the broker says goodbye; the bound is that of the promise. */
const goneWithinMs = 1000;

describe.each<Runtime>(["node", "bun"])("Broker on %s", (runtime) => {
  test("starts, serves a client that finds it, and leaves nothing when it is stopped", async () => {
    await using script = await library.run(
      runtime,
      `const broker = new Broker();
       say([broker.pipe ?? "none", process.env.EPHEMERAL_PIPE]);
       const pipe = await broker.start();
       say([pipe === broker.pipe, pipe === process.env.EPHEMERAL_PIPE]);
       const client = new Client();
       await client.set("key", { some: "value" });
       say(await client.get("key"));
       await broker.stop();
       say([broker.pipe ?? "none", process.env.EPHEMERAL_PIPE]);
       say(pipe);`,
      { environment: { EPHEMERAL_PIPE: "/before" } },
    );
    const { said, stderr, status } = await script.end();
    const pipe = String(said.at(-1));
    expect({ said: said.slice(0, -1), stderr, status }).toEqual({
      said: [["none", "/before"], [true, true], { some: "value" }, ["none", "/before"]],
      stderr: "",
      status: 0,
    });
    expect([readdirSync(library.runtimeDirectory), brokers()]).toEqual([[], []]);
    // Its reaper, told that nothing is left to do, ends by itself.
    await until(() => isGone(pipe));
  });

  test("opens a web door, tells where it is and what lets in there, and neither when there is none", async () => {
    await using script = await library.run(
      runtime,
      `const status = async ({ url, token }) => {
         const headers = token === undefined ? {} : { Authorization: "Bearer " + token };
         return (await fetch(url.replace("ws:", "http:").replace("/ws", "/stats"), { headers })).status;
       };
       const broker = new Broker({ port: 0 });
       say([broker.url ?? "none", broker.token ?? "none"]);
       await broker.start();
       say([await status(broker), await status({ url: broker.url }), broker.token.length, process.argv.join().includes(broker.token)]);
       await broker.stop();
       say([broker.url ?? "none", broker.token ?? "none"]);
       for (const options of [{ port: 0, insecureNoAuth: true }, { port: 0, secret: "word" }, {}]) {
         const other = new Broker(options);
         await other.start();
         say([typeof other.url, typeof other.token, other.url && (await status({ url: other.url, token: options.secret }))]);
         await other.stop();
       }`,
    );
    const { said, stderr, status } = await script.end();
    expect({ said, stderr, status }).toEqual({
      said: [
        ["none", "none"],
        [200, 401, 64, false],
        ["none", "none"],
        ["string", "undefined", 200],
        ["string", "undefined", 200],
        ["undefined", "undefined", null],
      ],
      stderr: "",
      status: 0,
    });
  });

  test("does not keep its creator alive, and ends with it", async () => {
    await using script = await library.run(runtime, "say(await new Broker().start());");
    const { said, stderr, status } = await script.end();
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    await until(() => isGone(String(said[0])), goneWithinMs);
  });

  test("ends within a second of its creator's SIGKILL, whoever else the creator started", async () => {
    await using script = await library.run(
      runtime,
      `import { spawn } from "node:child_process";
       say(await new Broker().start());
       const other = spawn("tail", ["-f", "/dev/null"], { stdio: "ignore", env: {} });
       say(other.pid);
       setInterval(() => {}, 1000);`,
    );
    const pipe = String(await script.next());
    const other = Number(await script.next());
    try {
      expect(brokers()).toHaveLength(1);
      script.kill("SIGKILL");
      await until(() => isGone(pipe), goneWithinMs);
      expect(readProc(other, "cmdline")).toContain("tail");
    } finally {
      process.kill(other, "SIGKILL");
    }
  });

  test("has what is registered for the end run when it is stopped, and when its creator is killed", async () => {
    const noted = (word: string): string => join(dirname(library.folder), `${runtime}-${word}`);
    await using script = await library.run(
      runtime,
      `const [stopped, left] = [new Broker(), new Broker()];
       await new Client(await stopped.start()).onEnd(["touch", ${JSON.stringify(noted("stopped"))}]);
       await stopped.stop();
       say(await left.start());
       await new Client().onEnd(["sh", "-c", 'echo to nobody; touch "$0"', ${JSON.stringify(noted("left"))}]);
       say("registered");
       setInterval(() => {}, 1000);`,
    );
    const pipe = String(await script.next());
    expect(await script.next()).toBe("registered");
    expect([existsSync(noted("stopped")), existsSync(noted("left"))]).toEqual([true, false]);
    script.kill("SIGKILL");
    await until(() => isGone(pipe), 5000);
    expect(existsSync(noted("left"))).toBe(true);
  });

  test("two at once: each keeps its own, and the environment names the younger that is left", async () => {
    await using script = await library.run(
      runtime,
      `const [first, second, third] = [new Broker(), new Broker(), new Broker()];
       const pipes = [await first.start(), await second.start(), await third.start()];
       const named = () => say(pipes.indexOf(process.env.EPHEMERAL_PIPE));
       await new Client(pipes[0]).set("key", "first");
       await new Client(pipes[1]).set("key", "second");
       say([await new Client(pipes[0]).get("key"), await new Client(pipes[1]).get("key")]);
       named();
       await first.stop(); named();
       await third.stop(); named();
       process.env.EPHEMERAL_PIPE = "/mine";
       await second.stop();
       say(process.env.EPHEMERAL_PIPE);`,
    );
    expect(await script.end()).toEqual({ said: [["first", "second"], 2, 2, 1, "/mine"], stderr: "", status: 0 });
    expect(brokers()).toEqual([]);
  });

  test("start twice is one broker, stop twice one end, and start after stop a new one", async () => {
    await using script = await library.run(
      runtime,
      `const broker = new Broker();
       await broker.stop();
       const [a, b] = await Promise.all([broker.start(), broker.start()]);
       say([a === b, a === (await broker.start())]);
       await Promise.all([broker.stop(), broker.stop()]);
       await broker.stop();
       say([broker.pipe === undefined, "EPHEMERAL_PIPE" in process.env]);
       const stopped = broker.start().then((pipe) => pipe !== a);
       say(await stopped);
       { broker[Symbol.asyncDispose] ? await broker[Symbol.asyncDispose]() : await broker.stop(); }
       say(broker.pipe === undefined);`,
    );
    const { said, stderr, status } = await script.end();
    expect({ said, stderr, status }).toEqual({
      said: [[true, true], [true, false], true, true],
      stderr: "",
      status: 0,
    });
    expect(brokers()).toEqual([]);
  });

  test("a broker that ends by itself is forgotten, and can be started again", async () => {
    await using script = await library.run(
      runtime,
      `const broker = new Broker({ idleTimeout: 50 });
       say(await broker.start());
       while (broker.pipe !== undefined) await new Promise((resolve) => setTimeout(resolve, 5));
       say("EPHEMERAL_PIPE" in process.env);
       await broker.start();
       say(broker.pipe === process.env.EPHEMERAL_PIPE);
       await broker.stop();`,
    );
    const { said, stderr, status } = await script.end();
    expect({ said: said.slice(1), stderr, status }).toEqual({ said: [false, true], stderr: "", status: 0 });
  });

  test("a wrong secret is refused, and the right one stands in nobody's arguments", async () => {
    await using script = await library.run(
      runtime,
      `const broker = new Broker({ secret: "s3cret-of-the-broker" });
       const pipe = await broker.start();
       for (const secret of ["another", undefined, "s3cret-of-the-broker"]) {
         const client = new Client(pipe, { secret });
         say(await client.ping().then(() => "pong", (error) => [error instanceof EphemeralError, error.code]));
         client.close();
       }
       await new Promise((resolve) => process.stdin.on("end", resolve).resume());
       setInterval(() => {}, 1000);`,
    );
    expect([await script.next(), await script.next(), await script.next()]).toEqual([
      [true, "auth_failed"],
      [true, "auth_failed"],
      "pong",
    ]);
    const [broker = 0] = brokers();
    expect(readProc(broker, "cmdline")).toContain("start");
    expect(readProc(broker, "cmdline")).not.toContain("s3cret");
  });

  test("logs to its creator's stderr, from the first line on", async () => {
    await using script = await library.run(
      runtime,
      `const broker = new Broker({ logLevel: "info", structuredLogging: true, heartbeatInterval: 60000 });
       say(await broker.start());
       await broker.stop();`,
    );
    const { stderr } = await script.end();
    const told = stderr.trim().split("\n");
    const events = told.map((line) => JSON.parse(line).message ?? JSON.parse(line).msg);
    expect(events.at(0)).toBe("broker started");
    expect(events.at(-1)).toBe("broker stopped");
  });

  test("says why a broker does not start, and leaves nothing", async () => {
    await using script = await library.run(
      runtime,
      `const failure = (broker) => broker.start().catch((error) => [error instanceof EphemeralError, error.code, error.message]);
       const first = new Broker({ name: "taken", logLevel: "info" });
       await first.start();
       say(await failure(new Broker({ name: "taken", logLevel: "info" })));
       say(process.env.EPHEMERAL_PIPE === first.pipe);
       say(await failure(new Broker({ limits: { valueBytesMax: 2 ** 30 } })));
       say(await failure(new Broker({ name: "../up" })));
       await first.stop();
       say("EPHEMERAL_PIPE" in process.env);`,
    );
    const { said, status } = await script.end();
    expect(status).toBe(0);
    expect(said).toEqual([
      [true, "unavailable", expect.stringMatching(/^Cannot start broker: .*"?taken"?/)],
      true,
      [true, "bad_command", expect.stringMatching(/^Cannot .*value-?bytes-?max/i)],
      [true, "bad_command", expect.stringMatching(/^Cannot .*--name.*"\.\.\/up"/)],
      false,
    ]);
    await until(() => brokers().length === 0, goneWithinMs);
  });
});

describe("Broker without a runtime", () => {
  test("names every way to get one", async () => {
    const { folder, runtimeDirectory } = library;
    const empty = join(dirname(folder), "empty");
    mkdirSync(join(empty, "bin"), { recursive: true });
    symlinkSync(Bun.which("node") ?? "", join(empty, "bin/node"));
    await using script = await library.run(
      "node",
      "say(await new Broker().start().catch((error) => [error instanceof EphemeralError, error.code, error.message]));",
      { environment: { PATH: join(empty, "bin") }, directory: empty },
    );
    const { said } = await script.end();
    expect(said).toEqual([
      [true, "unavailable", expect.stringMatching(/npm install --save-dev bun.*on PATH.*EPHEMERAL_BIN/)],
    ]);
    expect(readdirSync(runtimeDirectory)).toEqual([]);
  });
});
