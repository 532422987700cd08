/** What Bun's unix sockets do: short writes, ends, halves, pauses, paths and the file itself. Imports nothing of ours. */
import { describe, expect, test } from "bun:test";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { connect, type Socket as NodeSocket } from "node:net";
import type { Socket } from "bun";
import { Scratch, until } from "./scratch.ts";

const bigBytes = 4_000_000;

interface Pair extends Disposable {
  /** The listening side's socket. */
  readonly server: Socket;
  /** The dialling side, of `node:net`, which may keep its half open. */
  readonly client: NodeSocket;
  /** What happened to the server's socket, in order. */
  readonly events: readonly string[];
  /** What happened to the client's. */
  readonly clientEvents: readonly string[];
  /** Bytes the client has read. */
  readonly received: () => number;
}

/** A Bun socket and the peer that dialled it. */
async function socketPair(handlers: { readonly end?: (socket: Socket) => void } = {}): Promise<Pair> {
  const scratch = new Scratch();
  const opened = Promise.withResolvers<Socket>();
  const events: string[] = [];
  const clientEvents: string[] = [];
  let received = 0;
  const listener = Bun.listen({
    unix: scratch.at("sock"),
    socket: {
      open: (socket) => opened.resolve(socket),
      data: (_socket, bytes) => void events.push(`data ${bytes}`),
      drain: () => void events.push("drain"),
      end(socket) {
        events.push("end");
        handlers.end?.(socket);
      },
      close: () => void events.push("close"),
    },
  });
  const client = connect({ path: scratch.at("sock"), allowHalfOpen: true });
  client.on("data", (bytes) => {
    received += bytes.length;
    if (bytes.length < 100) clientEvents.push(`data ${bytes}`);
  });
  client.on("end", () => clientEvents.push("end"));
  client.on("close", () => clientEvents.push("close"));
  client.on("error", () => undefined);
  return {
    server: await opened.promise,
    client,
    events,
    clientEvents,
    received: () => received,
    [Symbol.dispose]() {
      client.destroy();
      listener.stop(true);
      scratch[Symbol.dispose]();
    },
  };
}

describe("a socket of Bun.listen", () => {
  test("takes part of a large write, then nothing, and keeps nothing of the rest", async () => {
    using pair = await socketPair();
    pair.client.pause();
    const taken = pair.server.write(new Uint8Array(bigBytes));
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(bigBytes);
    expect([pair.server.write("x"), pair.server.write(new Uint8Array(10))]).toEqual([0, 0]);
    pair.client.resume();
    await until(() => pair.events.includes("drain"));
    pair.server.end();
    await until(() => pair.clientEvents.includes("end"));
    expect(pair.received()).toBe(taken);
  });

  test("drops what the kernel does not take of end(bytes), without an error", async () => {
    using pair = await socketPair();
    pair.client.pause();
    const taken = pair.server.end(new Uint8Array(bigBytes));
    expect(taken).toBeLessThan(bigBytes);
    pair.client.resume();
    await until(() => pair.clientEvents.includes("end"));
    expect(pair.received()).toBe(taken);
    expect(pair.events).toEqual(["close"]);
  });

  test("closes both halves at end(), at once, although the peer keeps its own open", async () => {
    using pair = await socketPair();
    pair.server.write("bye");
    pair.server.end();
    expect(pair.server.write("late")).toBe(-1);
    await until(() => pair.clientEvents.includes("end"));
    expect(pair.clientEvents).toEqual(["data bye", "end"]);
    expect(pair.events).toEqual(["close"]);
  });

  test("closes its own half at shutdown() and goes on reading until the peer ends", async () => {
    using pair = await socketPair();
    pair.server.write("bye");
    pair.server.shutdown();
    await until(() => pair.clientEvents.includes("end"));
    pair.client.write("more");
    await until(() => pair.events.includes("data more"));
    pair.client.end();
    await until(() => pair.events.includes("close"));
    expect(pair.events.filter((event) => event !== "end")).toEqual(["data more", "close"]);
  });

  test("closes by itself when the peer ends its half, after an end event in which it can still write", async () => {
    using pair = await socketPair({ end: (socket) => void socket.write("last") });
    pair.client.end("bye");
    await until(() => pair.clientEvents.includes("end"));
    expect(pair.events).toEqual(["data bye", "end", "close"]);
    expect(pair.clientEvents[0]).toBe("data last");
  });

  test("is told drain, and neither end nor close, when its peer dies while it is paused", async () => {
    using pair = await socketPair();
    using other = await socketPair();
    pair.server.pause();
    pair.client.end("lost");
    pair.client.destroy();
    // A socket that is not paused sees the same in the meantime.
    other.client.destroy();
    await until(() => other.events.includes("close"));
    await Bun.sleep(50);
    // All it is told is that there is room, as if it could go on.
    expect(pair.events).toEqual(["drain"]);
    pair.server.resume();
    await until(() => pair.events.includes("close"));
    expect(pair.events).toContain("data lost");
  });

  test("is told close at once when its peer dies while it is paused and a write of it was cut short", async () => {
    using pair = await socketPair();
    pair.client.pause();
    pair.server.pause();
    pair.client.write("unread");
    expect(pair.server.write(new Uint8Array(bigBytes))).toBeLessThan(bigBytes);
    pair.client.destroy();
    // What had come unread may be handed over first.
    await until(() => pair.events.includes("close"));
    expect(pair.events.filter((event) => event !== "data unread")).toEqual(["close"]);
  });

  test("hands every data event a Buffer with memory of its own, and drains microtasks before the next event", async () => {
    using scratch = new Scratch();
    const order: string[] = [];
    const chunks: Buffer[] = [];
    const listener = Bun.listen({
      unix: scratch.at("sock"),
      socket: {
        data(_socket, chunk) {
          order.push("data");
          chunks.push(chunk);
          queueMicrotask(() => order.push("microtask"));
        },
      },
    });
    const dial = () => Bun.connect({ unix: scratch.at("sock"), socket: { data: () => undefined } });
    const clients = await Promise.all([dial(), dial(), dial()]);
    // All written before the loop turns, so that one poll brings all three.
    for (const [index, client] of clients.entries()) client.write(`chunk ${index}`);
    await until(() => chunks.length === 3);
    expect(order).toEqual(["data", "microtask", "data", "microtask", "data", "microtask"]);
    expect(chunks.map((chunk) => [chunk.constructor === Buffer, chunk.byteOffset, chunk.buffer.byteLength])).toEqual(
      chunks.map((chunk) => [true, 0, chunk.length]),
    );
    expect(chunks.map(String).sort()).toEqual(["chunk 0", "chunk 1", "chunk 2"]);
    listener.stop(true);
  });

  test("has its descriptor as fd, which is -1 once it is closed", async () => {
    using pair = await socketPair();
    const socket = pair.server as Socket & { readonly fd: number };
    expect(socket.fd).toBeGreaterThan(2);
    expect(statSync(`/proc/self/fd/${socket.fd}`).isSocket()).toBe(true);
    socket.terminate();
    expect(socket.fd).toBe(-1);
  });
});

describe("a unix socket's file", () => {
  const listen = (unix: string) => Bun.listen({ unix, socket: { data: () => undefined } });

  test.each([
    [0o022, 0o755],
    [0o077, 0o700],
    [0o177, 0o600],
    [0o000, 0o777],
  ])("has the mode that umask %o leaves, %o, from its first instant", (umask, mode) => {
    using scratch = new Scratch();
    const before = process.umask(umask);
    try {
      const listener = listen(scratch.at("sock"));
      expect(statSync(scratch.at("sock")).mode & 0o777).toBe(mode);
      listener.stop(true);
    } finally {
      process.umask(before);
    }
  });

  test.each([[true], [undefined]])("is removed by stop(%p)", (force) => {
    using scratch = new Scratch();
    listen(scratch.at("sock")).stop(force);
    expect(existsSync(scratch.at("sock"))).toBe(false);
  });

  test.each(["SIGTERM", "SIGINT", "SIGKILL"] as const)("survives the %s of its process", async (signal) => {
    using scratch = new Scratch();
    const script = 'Bun.listen({ unix: "sock", socket: { data() {} } }); console.log("ready")';
    const child = scratch.start([process.execPath, "-e", script]);
    await until(() => existsSync(scratch.at("sock")));
    child.kill(signal);
    await child.exited;
    expect(child.signalCode).toBe(signal);
    expect(existsSync(scratch.at("sock"))).toBe(true);
    // Nobody listens any more, and nobody can listen there until it is removed.
    expect(() => listen(scratch.at("sock"))).toThrow(expect.objectContaining({ code: "EADDRINUSE" }));
  });

  test("is never taken over by a second listener, living or not, and neither is another file", () => {
    using scratch = new Scratch();
    const first = listen(scratch.at("sock"));
    writeFileSync(scratch.at("file"), "kept");
    for (const path of [scratch.at("sock"), scratch.at("file")]) {
      expect(() => listen(path)).toThrow(expect.objectContaining({ code: "EADDRINUSE" }));
      expect(existsSync(path)).toBe(true);
    }
    first.stop(true);
  });
});

describe("a socket's path", () => {
  const pathOf = (scratch: Scratch, bytes: number): string => scratch.at("x".repeat(bytes - scratch.path.length - 1));

  test("may be longer than an address holds in Bun, which then goes through the folder's descriptor", async () => {
    using scratch = new Scratch({ [`${"d".repeat(150)}/file`]: "" });
    const unix = scratch.at(`${"d".repeat(150)}/sock`);
    const listener = Bun.listen({ unix, socket: { data: () => undefined } });
    (await Bun.connect({ unix, socket: { data: () => undefined } })).terminate();
    expect(statSync(unix).isSocket()).toBe(true);
    const script = 'require("net").connect(process.argv[1]).on("error", (error) => console.log(error.code))';
    expect((await scratch.run(["node", "-e", script, unix])).stdout).toBe("ENOENT\n");
    listener.stop(true);
    expect(existsSync(unix)).toBe(false);
  });

  test("is refused by Bun with EINVAL, listening and dialling, when the file's own name is long as well", async () => {
    using scratch = new Scratch();
    const unix = scratch.at("x".repeat(100));
    const socket = { data: () => undefined };
    expect(() => Bun.listen({ unix, socket })).toThrow(expect.objectContaining({ code: "EINVAL" }));
    expect(Bun.connect({ unix, socket })).rejects.toMatchObject({ code: "EINVAL" });
  });

  test("is cut short by Node without a word, to 108 bytes", async () => {
    using scratch = new Scratch();
    const script = 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    const { signal } = await scratch.run(["node", "-e", script, pathOf(scratch, 120)]);
    expect(signal).toBe("SIGKILL");
    expect([existsSync(pathOf(scratch, 120)), existsSync(pathOf(scratch, 108))]).toEqual([false, true]);
  });
});
