/**
 * The program of a well-behaved client and of the bystander it is compared with: every 20 ms it pings the broker (the first
 * argument) and, in the same instant, a raw echo (the second). Told anything on stdin, it says what the pings since the last
 * time took, in milliseconds, those still unanswered too.
 */
import { linesOf } from "./line-process.ts";

const everyMs = 20;

/** Where pings go, each answered by a line, in order. */
class Target {
  readonly #socket: Promise<{ write(data: string): number }>;
  readonly #unansweredSince: number[] = [];
  #tookMs: number[] = [];

  constructor(pipe: string) {
    this.#socket = Bun.connect({ unix: pipe, socket: { data: (_socket, chunk) => this.#received(chunk) } });
  }

  async ping(): Promise<void> {
    const socket = await this.#socket;
    this.#unansweredSince.push(performance.now());
    socket.write('{"action":"ping"}\n');
  }

  take(): readonly number[] {
    const nowMs = performance.now();
    const taken = [...this.#tookMs, ...this.#unansweredSince.map((sinceMs) => nowMs - sinceMs)];
    this.#tookMs = [];
    return taken;
  }

  #received(chunk: Uint8Array): void {
    const nowMs = performance.now();
    for (const byte of chunk) if (byte === 10) this.#tookMs.push(nowMs - (this.#unansweredSince.shift() ?? nowMs));
  }
}

const [broker, echo] = process.argv.slice(2).map((pipe) => new Target(pipe));
const ping = async (): Promise<void> => void (await Promise.all([broker?.ping(), echo?.ping()]));
await ping();
console.log("{}");
setInterval(ping, everyMs);
for await (const _ of linesOf(Bun.stdin.stream())) {
  console.log(JSON.stringify({ brokerMs: broker?.take(), echoMs: echo?.take() }));
}
process.exit(0);
