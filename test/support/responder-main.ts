/**
 * A process that serves a method, or asks once, as it is told: says what it is asked, and holds its answers back until an
 * event lets them go, or answers at once. One JSON object a line; knows nothing of the others.
 */
import { Client } from "../../src/client/client.ts";

interface Told {
  readonly pipe: string;
  readonly label: string;
  readonly part: "serve" | "ask";
}

const { pipe, label, part } = JSON.parse(process.argv[2] ?? "") as Told;
const client = new Client(pipe, { label });
const say = (what: object): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
const held: (() => void)[] = [];

/** Answers with its label; a request that is to be held waits for the next `release`. */
async function answer(data: unknown): Promise<string> {
  if (data === "held") {
    say({ asked: data });
    await new Promise<void>((resolve) => held.push(resolve));
  }
  return label;
}

if (part === "ask") {
  say({ asking: true });
  say({ answer: await client.request("m", "held") });
} else {
  const service = await client.serve("m", answer);
  await client.onEvent("release", () => {
    for (const release of held.splice(0)) release();
  });
  await client.onEvent("stop", async () => {
    await service.stop();
    say({ stopped: true });
  });
  const [own] = (await client.ps()).filter((session) => session.label === label);
  say({ session: own?.session });
}
