/**
 * The page of once: a command that runs in one of many shells, for all of them.
 */

import { defaultTtlMs } from "../../broker/config.ts";
import type { Connection } from "../../client/connection/connection.ts";
import type { Reply } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import { fromJsonValue, jsonValue } from "../../protocol/json-values.ts";
import { print } from "../output.ts";
import { definePage } from "../page.ts";
import { durationFlag } from "../settings/settings.ts";
import { turnFlags, turnSettings, turnVariables } from "../turns/turn-flags.ts";
import type { Ending } from "../wrapper/child.ts";
import { say } from "../wrapper/say.ts";

export const oncePage = definePage({
  name: "once",
  group: "Turns",
  summary: "Run a command once for all who ask, who share output and status",
  wrapsCommand: true,
  notes: [
    "One of them runs the command, the others wait; its standard output is printed by all, once it has ended. The output is kept as the key's value: until its time to live is over nobody runs the command again, and ephemeral get prints it.",
    "When the command fails, all who wait end with its exit status, and whoever asks next runs it anew. When it, or the one who runs it, is killed, the first who waits runs it instead.",
  ],
  examples: [
    { line: "token=$(ephemeral once auth-token --ttl 1h -- ./login.sh)", does: "one login for all" },
    { line: "ephemeral once build -- make", does: "one build, for whoever comes first" },
  ],
  environment: turnVariables,
  args: {
    key: { type: "positional", required: true, description: "What it is kept under; 1 to 512 bytes" },
    ttl: { type: "string", valueHint: "DURATION", description: "How long its output is kept (default: 30m)" },
    ...turnFlags,
  },
  async perform(args) {
    const { key } = args;
    const ttl = durationFlag(args, "ttl") ?? defaultTtlMs;
    const { waitMs, ...settings } = turnSettings(args);
    const { takeTurn } = await import("../turns/turn.ts");
    await takeTurn<Outcome>({
      ...settings,
      name: key,
      command: args._.slice(1),
      wait: (connection) => ask(connection, { key, waitMs }),
      async perform(outcome, run, connection) {
        if ("status" in outcome) return { kind: "exited", status: outcome.status };
        if (!("leader" in outcome)) return printed(key, outcome);
        const { MemoryFile } = await import("../memory-file.ts");
        using output = new MemoryFile();
        const ending = await run({}, output.descriptor);
        const bytes = output.bytes();
        const told = share(connection, { key, fence: outcome.fence, ttl, ending, bytes });
        await Promise.all([told, print(bytes)]);
        return ending;
      },
    });
  },
});

type Outcome = Reply<"once"> | { readonly status: number };

/** What a failed run is called where it is told. */
const failedRun = /^exit status (\d+)$/;

async function ask(connection: Connection, { key, waitMs }: { key: string; waitMs: number }): Promise<Outcome> {
  try {
    return await connection.call({ command: { action: "once", key }, read: (reply): Outcome => reply, waitMs });
  } catch (error) {
    const reason = error instanceof EphemeralError && error.code === "producer_failed" ? error.details?.reason : "";
    const [, status] = failedRun.exec(`${reason}`) ?? [];
    if (status === undefined || !(error instanceof Error)) throw error;
    say(error.message);
    return { status: Number(status) };
  }
}

/** What was produced elsewhere: by a command as it came, by a program as `get` would print it. */
async function printed(key: string, reply: Exclude<Reply<"once">, { readonly leader: true }>): Promise<Ending> {
  const stored = fromJsonValue(reply.value);
  let value = stored;
  if (reply.compressed === true) {
    const { decompressValue } = await import("../../client/compressed.ts");
    value = await decompressValue(key, stored);
  }
  const isText = typeof value === "string" || value instanceof Uint8Array;
  await print(isText ? (value as string | Uint8Array) : `${JSON.stringify(value)}\n`);
  return { kind: "exited", status: 0 };
}

interface Sharing {
  readonly key: string;
  readonly fence: number;
  readonly ttl: number;
  readonly ending: Ending;
  readonly bytes: Uint8Array;
}

/** Tells the others. Our own ending is the command's, whether they can be told or not. */
async function share(connection: Connection, { key, fence, ttl, ending, bytes }: Sharing): Promise<void> {
  const reject = (reason: string, pass: boolean): Promise<void> =>
    connection.call({
      command: { action: "once.reject", key, fence, reason, cacheMs: undefined, pass },
    });
  try {
    if (ending.kind === "killed") await reject(`killed by signal ${ending.signal}`, true);
    else if (ending.status !== 0) await reject(`exit status ${ending.status}`, false);
    else {
      const value = jsonValue(textOf(bytes) ?? bytes);
      await connection.call({ command: { action: "once.resolve", key, fence, value, ttl } });
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : `${error}`;
    say(`The others do not get the output of ${JSON.stringify(key)}: ${reason}`);
    await reject(reason, false).catch(() => {});
  }
}

/** Undefined for bytes that are no UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
