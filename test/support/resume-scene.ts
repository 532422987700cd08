/**
 * What the tests of resuming play in: a broker, a client whose connection can be cut, and one that watches. Knows how to ask
 * the broker what the client holds; the cuts are the tests' business.
 */
import { expect } from "bun:test";
import { Client, type ClientOptions, type LostHold } from "../../src/client/client.ts";
import type { SessionInfo } from "../../src/protocol/commands.ts";
import { testBroker } from "./broker.ts";
import { type FlakySocket, flakySocket } from "./flaky-socket.ts";
import { quickClock } from "./quick-clock.ts";
import { until } from "./until.ts";

const label = "victim";

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;
const outcomeOf = (error: unknown): unknown => (error as { details?: { outcome?: unknown } }).details?.outcome;
/** What a promise comes to: its value, or a word about its failure. */
export const settled = (promise: Promise<unknown>): Promise<unknown> =>
  promise.catch((error: unknown) => `${codeOf(error)} ${outcomeOf(error)}`);

/** A broker, a way to it that can be cut, a client that comes back, and somebody who watches without being cut. */
export class Scene implements AsyncDisposable {
  readonly flaky: FlakySocket;
  readonly client: Client;
  readonly watcher: Client;
  readonly lost: LostHold[] = [];
  readonly #stack: AsyncDisposableStack;

  private constructor(
    stack: AsyncDisposableStack,
    parts: { flaky: FlakySocket; pipe: string; options: ClientOptions },
  ) {
    this.#stack = stack;
    this.flaky = parts.flaky;
    const onLost = (holds: readonly LostHold[]): void => void this.lost.push(...holds);
    const options = { label, lingerMs: 20_000, clock: quickClock, onLost, ...parts.options };
    this.client = stack.use(new Client(this.flaky.pipe, options));
    this.watcher = stack.use(new Client(parts.pipe, { label: "watcher" }));
  }

  static async open(options: ClientOptions = {}): Promise<Scene> {
    const stack = new AsyncDisposableStack();
    const broker = stack.use(await testBroker());
    const flaky = stack.use(await flakySocket(broker.pipe));
    const scene = new Scene(stack, { flaky, pipe: broker.pipe, options });
    await scene.client.ping();
    return scene;
  }

  /** Cuts the connection and waits until the client knows. */
  async cut(): Promise<void> {
    this.flaky.current.end();
    await until(() => this.client.state !== "connected");
  }

  /** The client's sessions as the broker knows them. */
  async sessions(): Promise<readonly SessionInfo[]> {
    return (await this.watcher.ps()).filter((session) => session.label === label);
  }

  /** What the client's one session holds, in the broker's words. */
  async holds(): Promise<readonly string[]> {
    const sessions = await this.sessions();
    expect(sessions).toHaveLength(1);
    return (sessions[0]?.holds ?? []).map((hold) =>
      hold.kind === "lease" ? `lease ${hold.id} ${hold.workerId}` : `${hold.kind} ${hold.id}`,
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
