/** What Bun.serve's WebSockets do to slow, mute and careless clients. Imports nothing of ours. */
import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import type { Server, ServerWebSocket, WebSocketHandler } from "bun";
import { isThorough } from "../support/thorough.ts";
import { until } from "./scratch.ts";

interface RawClient extends Disposable {
  readonly socket: Socket;
  /** The answer to the upgrade. */
  readonly head: string;
  /** First byte and length of each whole frame that has come. */
  readonly frames: () => readonly (readonly [first: number, bytes: number])[];
  readonly isClosed: () => boolean;
}

/** A WebSocket client that can stop reading and says only what it is told to. */
async function rawClient(port: number, headers = ""): Promise<RawClient> {
  const socket = connect(port, "127.0.0.1");
  const chunks: Buffer[] = [];
  let isClosed = false;
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("close", () => {
    isClosed = true;
  });
  socket.on("error", () => undefined);
  const key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  socket.write(`GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}${headers}\r\n`);
  const text = (): string => Buffer.concat(chunks).toString("latin1");
  await until(() => text().includes("\r\n\r\n"));
  const headBytes = text().indexOf("\r\n\r\n") + 4;
  return {
    socket,
    head: text().slice(0, headBytes),
    frames: () => framesIn(Buffer.concat(chunks).subarray(headBytes)),
    isClosed: () => isClosed,
    [Symbol.dispose]: () => socket.destroy(),
  };
}

function framesIn(bytes: Buffer): (readonly [number, number])[] {
  const frames: (readonly [number, number])[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (at + head > bytes.length) break;
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? bytes.readUInt32BE(at + 6) : short;
    if (at + head + length > bytes.length) break;
    frames.push([bytes[at] ?? 0, length]);
    at += head + length;
  }
  return frames;
}

interface Served extends Disposable {
  readonly server: Server<undefined>;
  readonly port: number;
  /** The sockets that were opened, oldest first. */
  readonly sockets: readonly ServerWebSocket<undefined>[];
  /** Code and reason of every close handler's call. */
  readonly closes: readonly (readonly [code: number, reason: string])[];
}

function serve(handlers: Partial<WebSocketHandler<undefined>> = {}): Served {
  const sockets: ServerWebSocket<undefined>[] = [];
  const closes: (readonly [number, string])[] = [];
  const server = Bun.serve<undefined>({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, self) => (self.upgrade(request) ? undefined : new Response("no")),
    websocket: {
      message: () => undefined,
      ...handlers,
      open(socket) {
        socket.subscribe("topic");
        sockets.push(socket);
      },
      close: (_socket, code, reason) => void closes.push([code, reason]),
    },
  });
  return { server, port: server.port ?? 0, sockets, closes, [Symbol.dispose]: () => void server.stop(true) };
}

async function openWebSocket(port: number, protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, protocols);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  return socket;
}

const closeOf = (socket: WebSocket): Promise<CloseEvent> =>
  new Promise((resolve) => {
    socket.onclose = resolve;
  });

const messageBytes = 60_000;
const message = "x".repeat(messageBytes);
const backpressureLimit = 64 * 1024;

/** Runs of equal outcomes, as in "taken queued dropped". */
function runsOf(outcomes: readonly number[]): string {
  const names = outcomes.map((outcome) => (outcome > 0 ? "taken" : outcome === -1 ? "queued" : "dropped"));
  return names.filter((name, index) => name !== names[index - 1]).join(" ");
}

describe.concurrent("a server's WebSocket", () => {
  test("loses messages published to a reader that pauses, and stays connected", async () => {
    using served = serve({ backpressureLimit });
    using client = await rawClient(served.port);
    client.socket.pause();
    const published = 300;
    for (let count = 0; count < published; count++) served.server.publish("topic", message);
    client.socket.resume();
    await until(() => served.sockets[0]?.getBufferedAmount() === 0);
    // The next message arrives: whoever reads cannot tell that others did not.
    expect(served.server.publish("topic", "after")).toBe(5);
    await until(() => client.frames().at(-1)?.[1] === 5);
    expect(client.frames().length).toBeGreaterThan(1);
    expect(client.frames().length).toBeLessThan(published);
    expect(served.closes).toEqual([]);
  });

  test("answers a publish with the outcome of its worst subscriber", async () => {
    using served = serve({ backpressureLimit });
    using stalled = await rawClient(served.port);
    stalled.socket.pause();
    const outcomes: number[] = [];
    for (let count = 0; count < 200; count++) outcomes.push(served.server.publish("topic", message));
    const alone = outcomes.at(-1);
    expect(alone).toBeLessThanOrEqual(0);
    using reader = await rawClient(served.port);
    expect(served.server.publish("topic", "one reads, one does not")).toBe(alone ?? 1);
    await until(() => reader.frames().length === 1);
  });

  test("answers a send past backpressureLimit with -1, which is queued, and then 0, which is dropped, and throws never", async () => {
    using served = serve({ backpressureLimit });
    using client = await rawClient(served.port);
    client.socket.pause();
    const outcomes = Array.from({ length: 100 }, () => served.sockets[0]?.send(message) ?? 0);
    expect(runsOf(outcomes)).toBe("taken queued dropped");
    expect(served.sockets[0]?.getBufferedAmount()).toBeGreaterThan(backpressureLimit);
    client.socket.resume();
    const sent = outcomes.filter((outcome) => outcome !== 0).length;
    await until(() => client.frames().length === sent);
    expect(served.closes).toEqual([]);
  });

  test("is closed with a bare 1006 and no close frame where closeOnBackpressureLimit is set", async () => {
    using served = serve({ backpressureLimit, closeOnBackpressureLimit: true });
    using client = await rawClient(served.port);
    client.socket.pause();
    for (let count = 0; count < 100; count++) served.sockets[0]?.send(message);
    client.socket.resume();
    await until(() => client.isClosed());
    expect(served.closes).toEqual([[1006, ""]]);
    expect(client.frames().every(([first]) => first === 0x81)).toBe(true);
  });

  // Eight seconds are the least there is.
  test.if(isThorough)(
    "of a mute client is closed after idleTimeout, but never while the server keeps sending",
    async () => {
      using quiet = serve({ idleTimeout: 8, sendPings: false });
      using busy = serve({ idleTimeout: 8, sendPings: false });
      using fed = await rawClient(busy.port);
      using starved = await rawClient(quiet.port);
      const feeding = setInterval(() => busy.sockets[0]?.send("x"), 100);
      await until(() => starved.isClosed(), 15_000);
      clearInterval(feeding);
      expect(quiet.closes).toEqual([[1006, "WebSocket timed out from inactivity"]]);
      expect([busy.sockets[0]?.readyState, fed.isClosed()]).toEqual([WebSocket.OPEN, false]);
    },
    20_000,
  );

  test("runs asynchronous message handlers all at once, without bound", async () => {
    let running = 0;
    let runningMost = 0;
    const go = Promise.withResolvers<void>();
    using served = serve({
      async message() {
        runningMost = Math.max(runningMost, ++running);
        await go.promise;
        running--;
      },
    });
    const client = await openWebSocket(served.port);
    for (let count = 0; count < 1000; count++) client.send("x");
    await until(() => runningMost === 1000);
    go.resolve();
    await until(() => running === 0);
    client.close();
  });

  test("keeps stop() from resolving as long as it is open; stop(true) closes it with 1001", async () => {
    using served = serve();
    const client = await openWebSocket(served.port);
    const closed = closeOf(client);
    let stopped = false;
    const stopping = served.server.stop().then(() => {
      stopped = true;
    });
    await Bun.sleep(200);
    expect([stopped, client.readyState]).toEqual([false, WebSocket.OPEN]);
    await served.server.stop(true);
    await stopping;
    const { code, reason, wasClean } = await closed;
    expect([code, reason, wasClean]).toEqual([1001, "Server closed", true]);
  });

  test("that gets more than maxPayloadLength is closed 1006 for its handler and 1009 for the client", async () => {
    using served = serve({ maxPayloadLength: 1000 });
    const client = await openWebSocket(served.port);
    const closed = closeOf(client);
    client.send("x".repeat(1001));
    expect((await closed).code).toBe(1009);
    expect(served.closes).toEqual([[1006, "Received too big message"]]);
  });

  test("speaks the first subprotocol that is offered, asked or not", async () => {
    using served = serve();
    const client = await openWebSocket(served.port, ["unknown.v9", "ephemeral.v1.json"]);
    expect(client.protocol).toBe("unknown.v9");
    client.close();
  });

  test("speaks the subprotocol that the upgrade names, whatever stands first", async () => {
    using server = Bun.serve<undefined>({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, self) => {
        self.upgrade(request, { headers: { "Sec-WebSocket-Protocol": "second" }, data: undefined });
        return undefined;
      },
      websocket: { message: () => undefined },
    });
    const client = await openWebSocket(server.port ?? 0, ["first", "second"]);
    expect(client.protocol).toBe("second");
    client.close();
  });

  test("that is closed sends what is queued first, then code and reason, and has called its handler meanwhile", async () => {
    using served = serve({ backpressureLimit: 64 * 1024 * 1024 });
    using client = await rawClient(served.port);
    client.socket.pause();
    const large = "x".repeat(8_000_000);
    expect(served.sockets[0]?.send(large)).toBe(-1);
    expect(served.sockets[0]?.getBufferedAmount()).toBeGreaterThan(0);
    served.sockets[0]?.close(3001, "bye");
    expect(served.closes).toEqual([[3001, "bye"]]);
    client.socket.resume();
    await until(() => client.frames().length === 2);
    expect(client.frames()).toEqual([
      [0x81, large.length],
      [0x88, 2 + "bye".length],
    ]);
  });

  test("that is paused reads nothing and does not see its client go", async () => {
    const messages: unknown[] = [];
    using served = serve({ message: (_socket, message) => void messages.push(message) });
    const client = await openWebSocket(served.port);
    served.sockets[0]?.pause();
    client.send("x");
    client.terminate();
    await Bun.sleep(100);
    expect([messages, served.closes, served.sockets[0]?.readyState]).toEqual([[], [], WebSocket.OPEN]);
    served.sockets[0]?.resume();
    await until(() => served.closes.length === 1);
    expect(messages).toEqual(["x"]);
  });

  test.each([
    ["not offered unless perMessageDeflate is set", undefined, "", [0x81, 0x81, 0x81, 0x81]],
    [
      "used by publish unless told not to, by send only when told to",
      true,
      "permessage-deflate",
      [0x81, 0xc1, 0xc1, 0x81],
    ],
  ] as const)("finds compression %s", async (_what, perMessageDeflate, offered, firsts) => {
    using served = serve(perMessageDeflate === undefined ? {} : { perMessageDeflate });
    using client = await rawClient(served.port, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    expect(/Sec-WebSocket-Extensions: ([\w-]+)/.exec(client.head)?.[1] ?? "").toBe(offered);
    const text = "x".repeat(200);
    served.sockets[0]?.send(text);
    served.sockets[0]?.send(text, true);
    served.server.publish("topic", text);
    served.server.publish("topic", text, false);
    await until(() => client.frames().length === 4);
    // 0x40 is the bit that says "compressed".
    expect(client.frames().map(([first]) => first)).toEqual([...firsts]);
  });
});

describe("a server", () => {
  const options = { hostname: "127.0.0.1", development: false, fetch: () => new Response("") };

  test.if(isThorough)(
    "tells nobody of who dials and does not ask, and closes them, however slowly they do",
    async () => {
      using server = Bun.serve({ ...options, port: 0 });
      const sockets = [connect(server.port ?? 0), connect(server.port ?? 0)];
      const [, slow] = sockets;
      const ends = sockets.map((socket) => new Promise((resolve) => socket.resume().on("close", resolve)));
      slow?.write("GET / HTTP/1.1\r\n");
      const dripping = setInterval(() => slow?.write("a: b\r\n"), 500);
      await until(() => slow?.readyState === "open");
      expect(server.pendingRequests).toBe(0);
      await Promise.all(ends);
      clearInterval(dripping);
    },
    30_000,
  );

  test("without development shares its port with whoever asks for it, unless reusePort is false", () => {
    using shared = Bun.serve({ ...options, port: 0 });
    using sharer = Bun.serve({ ...options, port: shared.port ?? 0 });
    expect(sharer.port).toBe(shared.port ?? 0);
    using own = Bun.serve({ ...options, port: 0, reusePort: false });
    expect(() => Bun.serve({ ...options, port: own.port ?? 0, reusePort: false })).toThrow("in use");
    expect(() => Bun.serve({ ...options, port: own.port ?? 0 })).toThrow("in use");
  });
});
