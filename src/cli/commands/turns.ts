/**
 * The pages of lock, sem and take: a command that runs while it holds something.
 */
import type { Connection } from "../../client/connection/connection.ts";
import type { GrantReply, PoolWant } from "../../protocol/pools.ts";
import { usageError } from "../failure.ts";
import { definePage } from "../page.ts";
import { countFlag, type Environment, type Flags, processEnvironment } from "../settings/settings.ts";
import { turnFlags, turnSettings, turnVariables } from "../turns/turn-flags.ts";
import { say } from "../wrapper/say.ts";

const ownerVariables = [
  ["EPHEMERAL_OWNER", "Who counts as one: set for the command, and kept where it is set already"],
  ["EPHEMERAL_FENCE", "Set for the command: a number larger than that of every hold before"],
  ...turnVariables,
] as const;

const turnNote =
  "The command's streams, exit status and signals are as with ephemeral start. What it holds is free again when it ends, whatever it has left running in the background, and when this process is killed, which ends the command too. After 5 seconds in line, one line on stderr says who is before.";
const deadlockNote =
  "EPHEMERAL_OWNER names a thread of work: a command within the command has the same. What could only end in a deadlock of owners is refused at once, with the circle in words.";

const shared = { type: "boolean", description: "Together with others who share it" } as const;

export const lockPage = definePage({
  name: "lock",
  group: "Turns",
  summary: "Run a command while nobody else has the lock",
  wrapsCommand: true,
  notes: [turnNote, deadlockNote],
  examples: [
    { line: "ephemeral lock database -- ./migrate.sh", does: "one at a time, in the order they came" },
    { line: "ephemeral lock --shared database -- ./report.sh", does: "together with others who only read" },
    { line: "ephemeral lock --wait 0 -E 3 deploy -- ./deploy.sh", does: "status 3 when somebody deploys already" },
  ],
  environment: ownerVariables,
  args: {
    lock: { type: "positional", required: true, description: "What the lock is called; 1 to 512 bytes" },
    shared,
    ...turnFlags,
  },
  perform: (args) => hold(args, { pool: args.lock, size: 1 }),
});

export const semPage = definePage({
  name: "sem",
  group: "Turns",
  summary: "Run a command while fewer than so many others do",
  wrapsCommand: true,
  notes: [turnNote, deadlockNote],
  examples: [
    { line: "ephemeral sem browsers -n 3 -- npx playwright test cart", does: "at most three browsers at a time" },
    { line: "ephemeral sem api --seats 5 --wait 1m -- ./call.sh", does: "status 75 when no seat is free in a minute" },
  ],
  environment: [["EPHEMERAL_VALUE", "Set for the command: the number of its seat, from 0"], ...ownerVariables],
  args: {
    semaphore: { type: "positional", required: true, description: "What the seats are of; 1 to 512 bytes" },
    seats: { type: "string", valueHint: "N", short: "n", description: "How many seats there are; required" },
    shared,
    ...turnFlags,
  },
  async perform(args) {
    const correction = "Write: ephemeral sem NAME -n 3 -- command";
    const size = countFlag(args, { name: "seats", atLeast: 1, correction });
    if (size === undefined) throw usageError("Cannot take a seat: --seats is missing", correction);
    await hold(args, { pool: args.semaphore, size, exports: true });
  },
});

export const takePage = definePage({
  name: "take",
  group: "Turns",
  summary: "Run a command with an item of a pool that nobody else has",
  wrapsCommand: true,
  notes: [
    "The item's value is in EPHEMERAL_VALUE: a string as it is, anything else as JSON. A pool nobody has defined yet is waited for.",
    turnNote,
    deadlockNote,
  ],
  examples: [
    { line: "ephemeral take accounts -- sh -c 'echo \"as $EPHEMERAL_VALUE\"'", does: "use it while it is ours" },
    { line: "ephemeral take --match admin --match eu accounts -- ./test.sh", does: "one that has both tags" },
  ],
  environment: [["EPHEMERAL_VALUE", "Set for the command: the item's value"], ...ownerVariables],
  args: {
    pool: { type: "positional", required: true, description: "Where the item is taken from" },
    match: {
      type: "string",
      valueHint: "TAG",
      isRepeatable: true,
      description: "Only items with this tag; given several times, with all of them",
    },
    shared,
    ...turnFlags,
  },
  perform: (args) => hold(args, { pool: args.pool, match: args.match?.split(","), exports: true }),
});

interface Held extends Pick<PoolWant, "pool"> {
  readonly size?: number;
  readonly match?: readonly string[] | undefined;
  /** Whether the command is told what it holds. */
  readonly exports?: boolean;
}

/** Words of ours that stand before those of the command. */
const ownOperands = 1;
const ownerBytes = 4;

async function hold(flags: Flags & { readonly _: readonly string[] }, held: Held): Promise<void> {
  const { pool, size, match = [], exports = false } = held;
  const { waitMs, ...settings } = turnSettings(flags);
  const { takeTurn } = await import("../turns/turn.ts");
  const owner = processEnvironment.EPHEMERAL_OWNER || (await newOwner());
  const mode = flags.shared === true ? "shared" : "exclusive";
  const wants: readonly PoolWant[] = [{ pool, count: 1, match, mode, size }];
  await takeTurn<GrantReply>({
    ...settings,
    name: pool,
    command: flags._.slice(ownOperands),
    wait: (connection) =>
      connection.call({
        command: { action: "acquire", wants, owner },
        // Only the broker's own side of it is encoded already.
        read: ({ grant }) => grant as GrantReply,
        waitMs,
      }),
    async perform(grant, run, connection) {
      const variables = variablesOf(grant, exports);
      const { id, fence } = grant;
      connection.handles.grants.set(id, {
        id,
        fence,
        lose: () =>
          say(`Lost ${JSON.stringify(pool)}: the broker or the connection to it has gone; the command goes on`),
      });
      const ending = await run({ ...variables, EPHEMERAL_OWNER: owner });
      await release(connection, id);
      return ending;
    },
  });
}

async function newOwner(): Promise<string> {
  const { randomHex } = await import("../../broker/random-hex.ts");
  return `${process.pid}-${randomHex(ownerBytes)}`;
}

function variablesOf({ fence, items }: GrantReply, exports: boolean): Environment {
  const value = items[0]?.value;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return { EPHEMERAL_FENCE: `${fence}`, ...(exports ? { EPHEMERAL_VALUE: text } : {}) };
}

/** When we have ended, it is free. Where that cannot be said, it is free by our end all the same. */
async function release(connection: Connection, grant: string): Promise<void> {
  if (!connection.handles.grants.delete(grant)) return;
  await connection.call({ command: { action: "release", grant } }).catch(() => {});
}
