/**
 * The pages of request, serve, send and kick: one process asks another or tells it something, from a shell.
 */
import { DirectMessages } from "../../client/requests/direct-messages.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import { call, callThrough, clientFlags } from "../call.ts";
import { givenData } from "../message-data.ts";
import { shownValue } from "../output.ts";
import { definePage } from "../page.ts";
import { jobsFlag, lanesMax, waitFlag } from "../settings/settings.ts";

const dataNote =
  "DATA is JSON where it can be read as JSON, else text; a dash reads it from standard input, where it may be bytes too. Without it, it is null.";
const data = { type: "positional", required: false, description: "What it is about; - reads standard input" } as const;
const method = { type: "positional", required: true, description: "What is asked for; 1 to 512 bytes" } as const;

const { json: _, ...placeFlags } = clientFlags;

export const requestPage = definePage({
  name: "request",
  group: "Messages",
  summary: "Ask whoever serves a method, and print the answer",
  notes: [
    dataNote,
    "Somebody has to serve the method now, and may take as long as it takes; with --wait it waits for somebody too, and so long for both. An answer that is text is printed as it is and anything else as JSON, each on a line of its own; bytes are printed as bytes. With --json: data.",
  ],
  examples: [
    { line: "ephemeral request sum '[1,2]'", does: "one question, one answer" },
    { line: "ephemeral request login alice --wait 30s", does: "also when whoever answers is still starting" },
    { line: "ephemeral request checksum - < build.tar", does: "ask about a file" },
  ],
  refusedWhen: "nobody serves the method, or whoever does says that it failed",
  args: {
    method,
    data,
    to: { type: "string", valueHint: "SESSION", description: "Only this session may answer" },
    wait: {
      type: "string",
      valueHint: "DURATION",
      short: "w",
      description: "How long to wait for somebody who serves it and for the answer; forever for as long as it takes",
    },
    ...clientFlags,
  },
  async perform(args) {
    const { to } = args;
    const waitMs = waitFlag(args);
    const asked = await givenData(args.data);
    await callThrough(args, async ({ connection }) => {
      const options = { waitMs, to: to === undefined ? undefined : { session: to } };
      const answer = await new DirectMessages(connection).request(args.method, asked, options);
      return { document: { data: answer }, text: shownValue(answer) };
    });
  },
});

export const servePage = definePage({
  name: "serve",
  group: "Messages",
  summary: "Answer requests of a method with a command, until Ctrl-C",
  wrapsCommand: true,
  notes: [
    "The command runs once for each request and reads its data on standard input, as ephemeral get would print it. When it exits with 0, what it printed is the answer: JSON where it can be read as JSON, else text without its last line feed, or bytes. Any other ending is told to who asked as a failure, with the last line of its stderr, which is ours too once it has ended.",
    "Any number of processes may serve the same method: who has the fewest to answer is asked. Ctrl-C and SIGTERM take no more, end the commands that run and tell who asked; when this process is killed the commands are, too. When the broker is gone it ends, with status 69.",
  ],
  examples: [
    { line: "ephemeral serve sum -- jq add", does: "ephemeral request sum '[1,2]' prints 3" },
    { line: "ephemeral serve render -j 4 -- node render.js", does: "four at a time; others wait for a free one" },
  ],
  environment: [
    ["EPHEMERAL_METHOD", "Set for the command: the method"],
    ["EPHEMERAL_FROM", "Set for the command: the session that asked, to be told more with ephemeral send"],
    ["EPHEMERAL_GRACE", "As --grace"],
  ],
  args: {
    method,
    jobs: {
      type: "string",
      valueHint: "N",
      short: "j",
      description: `Commands that run at a time, at most ${lanesMax} (default: 1)`,
    },
    grace: {
      type: "string",
      valueHint: "DURATION",
      description: "How long commands may take to end after SIGTERM or SIGHUP (default: 10s)",
    },
    ...placeFlags,
  },
  async perform(args) {
    const lanesCount = jobsFlag(args);
    const { runService } = await import("../sharing/service-run.ts");
    await runService(args, { method: args.method, command: args._.slice(1), lanesCount });
  },
});

export const sendPage = definePage({
  name: "send",
  group: "Messages",
  summary: "Say something to one session",
  notes: [
    dataNote,
    "A client hears it with onEvent; it is kept for nobody. Prints nothing; with --json: receivers. ephemeral ps shows sessions.",
  ],
  examples: [{ line: 'ephemeral send s12 reload \'{"config":"new"}\'', does: "tell one process to do something" }],
  refusedWhen: "there is no such session, or it has no connection",
  args: {
    session: { type: "positional", required: true, description: "Who is told, as ephemeral ps shows it" },
    event: { type: "positional", required: true, description: "What has happened; 1 to 512 bytes" },
    data,
    ...clientFlags,
  },
  async perform(args) {
    const { session, event } = args;
    const told = await givenData(args.data);
    await callThrough(args, async ({ connection }) => {
      const receivers = await new DirectMessages(connection).send({ session }, event, told);
      if (receivers === 0) throw nobody(`send "${event}"`, session);
      return { document: { receivers } };
    });
  },
});

export const kickPage = definePage({
  name: "kick",
  group: "Who has what",
  summary: "Close a session's connection and free all it holds",
  notes: ["Its client does not come back by itself. Prints nothing; with --json: kicked."],
  examples: [{ line: "ephemeral kick s12", does: "a worker hangs: let the others have what it holds" }],
  refusedWhen: "there is no such session",
  args: {
    session: { type: "positional", required: true, description: "Who has to go, as ephemeral ps shows it" },
    ...clientFlags,
  },
  perform: (args) =>
    call(args, async (ask) => {
      const { kicked } = await ask({ action: "kick", session: args.session });
      if (!kicked) throw nobody("kick", args.session);
      return { document: { kicked } };
    }),
});

function nobody(what: string, session: string): EphemeralError {
  return new EphemeralError(
    "not_found",
    `Cannot ${what}: there is no session ${JSON.stringify(session)} that is connected`,
  );
}
