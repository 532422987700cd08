/**
 * A socket between client and broker that does to the bytes what a test asks: cuts before or after any byte in either
 * direction, delays, splits, keeps one side open. Real unix sockets on both sides; knows nothing of frames.
 */
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { temporaryDirectory } from "./broker.ts";

export type Direction = "toBroker" | "toClient";

/** Where a connection is cut. */
export interface Cut {
  readonly direction: Direction;
  /** So many bytes pass; the next one does not, and cuts. */
  readonly afterBytes: number;
  /** The client's side is cut, and the broker is not told: its peer seems to be there. */
  readonly isHalf?: boolean;
}

/** What becomes of the bytes that pass. */
export interface Weather {
  /** Bytes that are handed on at once; all unless told. */
  readonly splitBytes?: number;
  /** Milliseconds a chunk is held back. */
  readonly delayMs?: number;
}

class FlakyConnection {
  readonly #sides: { readonly client: Socket; readonly broker: Socket };
  readonly #weather: Weather;
  /** What is on its way; bytes of one direction never overtake each other. */
  readonly #passing: Record<Direction, Promise<void>> = { toBroker: Promise.resolve(), toClient: Promise.resolve() };
  readonly #heard: Buffer[] = [];
  readonly #told: Buffer[] = [];
  readonly #unheard: Buffer[] = [];
  readonly #closed = Promise.withResolvers<void>();
  #cut: Cut | undefined;
  #passedBytes = 0;
  #isOver = false;

  constructor(client: Socket, { pipe, weather, cut }: { pipe: string; weather: Weather; cut: Cut | undefined }) {
    const broker = connect(pipe);
    this.#sides = { client, broker };
    this.#weather = weather;
    this.#cut = cut;
    client.on("data", (chunk: Buffer) => this.#take(chunk, "toBroker"));
    broker.on("data", (chunk: Buffer) => this.#take(chunk, "toClient"));
    client.on("error", () => {});
    broker.on("error", () => {});
    client.on("close", () => void this.#passing.toBroker.then(() => this.#isOver || broker.end()));
    broker.on("close", () => {
      this.#closed.resolve();
      void this.#passing.toClient.then(() => this.#isOver || client.end());
    });
  }

  /** What the client has got. */
  get heard(): string {
    return Buffer.concat(this.#heard).toString("utf8");
  }

  /** What the broker has got. */
  get told(): string {
    return Buffer.concat(this.#told).toString("utf8");
  }

  /** What the broker has said and the client did not get. */
  get unheard(): string {
    return Buffer.concat(this.#unheard).toString("utf8");
  }

  /** Resolves when the broker's side is closed. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Counts from now on. */
  arm(cut: Cut): void {
    this.#cut = cut;
    this.#passedBytes = 0;
  }

  /** Cuts now; what has passed arrives. With `isHalf` the broker is not told. */
  end(isHalf = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { client, broker } = this.#sides;
    client.end(() => client.destroy());
    if (!isHalf) broker.end(() => broker.destroy());
  }

  destroy(): void {
    this.#isOver = true;
    this.#sides.client.destroy();
    this.#sides.broker.destroy();
  }

  #take(chunk: Buffer, direction: Direction): void {
    const { delayMs, splitBytes } = this.#weather;
    if (delayMs === undefined && splitBytes === undefined) this.#pass(chunk, direction);
    else this.#passing[direction] = this.#passing[direction].then(() => this.#passSlowly(chunk, direction));
  }

  async #passSlowly(chunk: Buffer, direction: Direction): Promise<void> {
    const { delayMs = 0, splitBytes = chunk.length } = this.#weather;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    for (let at = 0; at < chunk.length; at += splitBytes) {
      this.#pass(chunk.subarray(at, at + splitBytes), direction);
      // Each part in a turn of its own, so that it may be read alone.
      if (at + splitBytes < chunk.length) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #pass(chunk: Buffer, direction: Direction): void {
    if (this.#isOver) {
      if (direction === "toClient") this.#unheard.push(chunk);
      return;
    }
    const cut = this.#cut?.direction === direction ? this.#cut : undefined;
    const room = cut === undefined ? chunk.length : cut.afterBytes - this.#passedBytes;
    this.#passedBytes += cut === undefined ? 0 : chunk.length;
    const to = direction === "toBroker" ? this.#sides.broker : this.#sides.client;
    if (room > 0) to.write(chunk.subarray(0, room));
    if (room > 0) (direction === "toClient" ? this.#heard : this.#told).push(chunk.subarray(0, room));
    if (room < chunk.length) this.end(cut?.isHalf);
  }
}

export interface FlakySocket extends AsyncDisposable {
  /** Dial this instead of the broker's. */
  readonly pipe: string;
  /** Where new connections lead. */
  target: string;
  /** Whether new connections are cut at once. */
  isDown: boolean;
  /** Chosen anew for each connection, its number from 0. */
  weather: (connection: number) => Weather & { readonly cut?: Cut };
  /** The connection made last. */
  readonly current: FlakyConnection;
  /** Connections made so far. */
  readonly count: number;
}

/** Listens in a private directory and leads to the broker at `target`. */
export async function flakySocket(target: string): Promise<FlakySocket> {
  const directory = temporaryDirectory();
  const pipe = join(directory.path, "sock");
  const connections: FlakyConnection[] = [];
  const flaky: FlakySocket = {
    pipe,
    target,
    isDown: false,
    weather: () => ({}),
    get current() {
      const last = connections.at(-1);
      if (last === undefined) throw new Error("nobody has connected");
      return last;
    },
    get count() {
      return connections.length;
    },
    async [Symbol.asyncDispose]() {
      for (const connection of connections) connection.destroy();
      await new Promise((resolve) => server.close(resolve));
      directory[Symbol.dispose]();
    },
  };
  const server = createServer((socket) => {
    if (flaky.isDown) {
      socket.destroy();
      return;
    }
    const { cut, ...weather } = flaky.weather(connections.length);
    connections.push(new FlakyConnection(socket, { pipe: flaky.target, weather, cut }));
  });
  await new Promise<void>((resolve) => server.listen(pipe, resolve));
  return flaky;
}
