/** Runs load workers against one contestant, all released at one instant, and what they report. */
import { join } from "node:path";

export interface LoadOptions {
  readonly contestant: string;
  readonly address: string;
  readonly operation: "set" | "get" | "lock";
  readonly workers: number;
  readonly inFlight: number;
  /** Operations of each worker. */
  readonly count: number;
  /** Different keys each worker uses. */
  readonly keys: number;
}

export interface LoadReport {
  /** Of all workers together. */
  readonly perSecond: number;
  /** The middle worker's. */
  readonly p50Us: number;
  readonly p99Us: number;
}

export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const { contestant, address, operation, workers, inFlight, count, keys } = options;
  const argv = [process.execPath, join(import.meta.dir, "load.ts"), contestant, address, operation];
  const processes = Array.from({ length: workers }, () =>
    Bun.spawn([...argv, `${inFlight}`, `${count}`, `${keys}`], { stdio: ["pipe", "pipe", "inherit"] }),
  );
  const outputs = processes.map(({ stdout }) => lines(stdout));
  await Promise.all(outputs.map((output) => output.next()));
  for (const { stdin } of processes) {
    stdin.write("go\n");
    stdin.flush();
  }
  const reports = await Promise.all(outputs.map(async (output) => JSON.parse((await output.next()).value ?? "{}")));
  await Promise.all(processes.map(({ exited }) => exited));
  const middle = reports.toSorted((a: LoadReport, b: LoadReport) => a.p50Us - b.p50Us)[Math.floor(workers / 2)];
  const perSecond = reports.reduce((sum: number, report: LoadReport) => sum + report.perSecond, 0);
  return { perSecond, p50Us: middle.p50Us, p99Us: middle.p99Us };
}

export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const whole = text.split("\n");
    text = whole.pop() ?? "";
    yield* whole;
  }
}
