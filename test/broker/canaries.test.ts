/**
 * Nothing secret is ever told: every command there is, said well and said badly, in both codecs, with marked secrets, proofs,
 * values and data, to the real program at its most talkative. No mark may appear in the log, on stderr, in a refusal, in
 * `ps` or in `metrics`.
 */
import { expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { encode } from "@msgpack/msgpack";
import { type LineClient, lineClient } from "../support/broker.ts";
import { msgpackClient, prefixed } from "../support/msgpack-client.ts";
import { proofOf, sealed } from "../support/proof.ts";
import { isThorough } from "../support/thorough.ts";
import { Trial } from "../support/trial.ts";

const program = { name: "source", argv: [process.execPath, join(import.meta.dir, "../../src/cli/main.ts")] } as const;
const secret = "canary-secret-5f1d";

let wrongsTried = 0;

/** A different mark each time, all of them known by this beginning. */
let given = 0;
const canary = (): string => `canary-${++given}-5f1d`;

/** Every command there is, as the broker itself counts them. `drain` comes last: it ends the run. */
async function actionsOf(client: LineClient): Promise<readonly string[]> {
  const { metrics } = await client.ask(seal({ action: "metrics" }));
  const named = [...String(metrics).matchAll(/operations_total\{action="([\w.]+)",result="success"/g)];
  const actions = named.map(([, action = ""]) => action);
  return [...actions.filter((action) => action !== "drain"), "drain"];
}

/** As an object, for clients that write their own lines. */
const seal = (command: object): object => JSON.parse(sealed(command, secret));

/** A command with every field that some command takes, so that each is said well by somebody. */
function wellSaid(action: string): Record<string, unknown> {
  const key = `key-of-${action}`;
  return {
    action,
    key,
    prefix: "key",
    workerId: "worker-of-all",
    queue: "queue-of-all",
    channel: "channel-of-all",
    job: "job-1",
    ackMs: 60_000,
    limit: 5,
    windowMs: 1000,
    forMs: 1,
    parties: 1,
    ttl: 60_000,
    value: { secret: canary(), list: [canary()], bytes: { $binary: btoa(canary()) } },
    data: canary(),
    token: canary(),
    reason: "no reason",
    fence: 1,
    target: 77,
    items: [{ value: canary(), data: canary(), id: "job-1" }],
    // `why` is asked of one of the two.
    pool: action === "why" ? undefined : "pool-of-all",
    wants: [{ pool: "pool-of-all" }],
    slots: [0],
    grant: "no-grant",
    method: "method-of-all",
    event: "event-of-all",
    // Nobody is there to be told or kicked; the request waits for nobody.
    to: { session: "nobody" },
    session: action === "kick" ? "nobody" : undefined,
    request: 1,
    // What is run at the end is told on stderr then, on purpose: only what it inherits is secret.
    argv: ["true"],
    cwd: "/",
    env: { TOKEN: "canary-env-5f1d" },
  };
}

const fields = (
  "id key prefix cursor limit workerId ttl size waitMs scope if version fence value data token auth session client label " +
  "lingerMs protocol reason cacheMs target items compressed beforeSize afterSize by refresh codec overflow ttlIfNew " +
  "pool wants slots grant owner prefer " +
  "channel recover history presence group serial exceptSelf trace since " +
  "queue job count ackMs delayMs closes pass parties join windowMs cost forMs " +
  "argv cwd env timeoutMs method event to request failure stop"
).split(" ");

/** What may be told, where it is text: names are no secrets, nor is what a reader asked to find. */
const names = "key workerId prefix cursor label pool grant owner queue job method event channel group trace".split(" ");

/** Says `action` with each of its fields made wrong, with a mark in each: in five ways, or in a short run in one of them, which
 *  is another for the next field and the next command. */
async function saidBadly(action: string, client: LineClient): Promise<unknown[]> {
  const replies: unknown[] = [];
  for (const field of fields) {
    const wrongs = [canary(), { [canary()]: canary() }, [canary()], `${canary()}\ud800`, canary().repeat(60)];
    const turn = wrongsTried++ % wrongs.length;
    for (const wrong of isThorough ? wrongs : wrongs.slice(turn, turn + 1)) {
      if (field === "reason" && typeof wrong === "string") continue;
      if (names.includes(field) && typeof wrong === "string") continue;
      if (field === "argv" && Array.isArray(wrong)) continue;
      replies.push(await client.ask(seal({ ...wellSaid(action), [field]: wrong })));
    }
  }
  return replies;
}

async function greetBadly(pipe: string): Promise<unknown[]> {
  const replies: unknown[] = [];
  for (const auth of [{ nonce: canary(), proof: canary() }, canary(), { nonce: canary() }, [canary()]]) {
    using client = await lineClient(pipe);
    await client.ask({ id: 1, action: "challenge" });
    const session = { id: "s1", secret: canary() };
    replies.push(await client.ask({ id: 2, action: "hello", protocol: 1, auth, session, token: canary() }));
  }
  return replies;
}

/** A greeting that succeeds. What it proves and is given in secret are marks too. */
async function greetWell(pipe: string): Promise<readonly string[]> {
  using client = await lineClient(pipe);
  const { nonce } = await client.ask({ id: 1, action: "challenge" });
  const handshake = { secret, endpoint: pipe, serverNonce: String(nonce), clientNonce: canary() };
  const proof = proofOf({ side: "client", ...handshake });
  const session = { id: "s1", secret: canary() };
  const auth = { nonce: handshake.clientNonce, proof };
  const hello = await client.ask({ id: 2, action: "hello", protocol: 1, label: "visitor", auth, session });
  expect(hello).toMatchObject({ ok: true });
  await client.ask({ id: 3, action: "once", key: "token" });
  const own = (hello as { session: { secret: string } }).session.secret;
  return [proof, proofOf({ side: "server", ...handshake }), own, String(nonce)];
}

async function garbage(pipe: string): Promise<unknown[]> {
  const replies: unknown[] = [];
  const lines = [`{"value": ${canary()}`, `"${canary()}"`, `[${JSON.stringify(canary())}]`, `\xff${canary()}`];
  for (const line of [...lines, `{"a":`.repeat(100) + canary(), `{"hmac":"${canary()}","action":"get"}`]) {
    using client = await lineClient(pipe);
    client.write(Buffer.from(`${line}\n`, "latin1"));
    replies.push(await client.next());
  }
  using oversized = await lineClient(pipe);
  oversized.write(canary().repeat(100_000));
  replies.push(await oversized.next());
  using packed = await msgpackClient(pipe);
  replies.push(await packed.ask({ id: 1, action: "set", key: "k", value: canary() }));
  packed.write(prefixed(encode([canary()])));
  replies.push(await packed.next());
  packed.write(prefixed(Buffer.concat([Buffer.of(0xc1), Buffer.from(canary())])));
  replies.push(await packed.next());
  return replies;
}

/** Five wrong seals, after which the broker closes. */
async function sealBadly(pipe: string): Promise<unknown[]> {
  const replies: unknown[] = [];
  using client = await lineClient(pipe);
  for (let attempt = 0; attempt < 5; attempt++) {
    replies.push(await client.ask(JSON.parse(sealed({ action: "set", key: "k", value: canary() }, canary()))));
  }
  await client.closed;
  return replies;
}

async function commandLine(pipe: string): Promise<string> {
  let said = "";
  for (const args of [
    ["set", "k", canary()],
    ["set", "k", canary(), "--ttl", "-1"],
    ["get", "missing"],
  ]) {
    for (const environment of [{ EPHEMERAL_SECRET: secret }, { CLIENT_SECRET: canary() }, { CLIENT_SECRET: "" }]) {
      const child = Bun.spawn([...program.argv, ...args, ...(args.length > 3 ? [] : ["--json"])], {
        env: { PATH: process.env.PATH, EPHEMERAL_PIPE: pipe, ...environment },
        stdout: "pipe",
        stderr: "pipe",
      });
      said += (await child.stdout.text()) + (await child.stderr.text());
    }
  }
  return said;
}

interface Case {
  readonly format: "text" | "json";
  /** Where its lines go. */
  readonly into: "stderr" | "a file";
}

test.each<Case>([
  { format: "json", into: "a file" },
  { format: "text", into: "stderr" },
])(
  "a log at debug, as $format to $into, holds no secret, proof or value",
  async ({ format, into }) => {
    const file = into === "a file" ? ["--log-file", "log"] : [];
    const args = ["start", "--log-level", "debug", "--log-format", format, ...file, "--heartbeat-interval", "50ms"];
    await using trial = new Trial(program, { args, environment: { EPHEMERAL_SECRET: secret } });
    await trial.said("/sock\n");
    const pipe = trial.stdout.trim();
    const refusals: unknown[] = [...(await greetBadly(pipe)), ...(await garbage(pipe)), ...(await sealBadly(pipe))];
    const secrets = await greetWell(pipe);
    const said = await commandLine(pipe);
    using client = await lineClient(pipe);
    using waiter = await lineClient(pipe);
    waiter.say(seal({ id: 1, action: "get", key: "waited-for", waitMs: -1 }));
    const actions = await actionsOf(client);
    expect(actions).toContain("once.resolve");
    const seen: unknown[] = [];
    for (const action of actions.slice(0, -1)) {
      refusals.push(...(await saidBadly(action, client)));
      refusals.push(await client.ask(seal(wellSaid(action))));
      seen.push(await client.ask(seal({ action: "ps" })));
    }
    seen.push(await client.ask(seal({ action: "metrics" })), await client.ask(seal({ action: "stats" })));
    refusals.push(...(await saidBadly("drain", client)).slice(0, 1));
    trial.signal("SIGTERM");
    expect(await trial.ending()).toEqual({ status: 0, killed: false });
    await trial.closedStreams();

    const log = into === "a file" ? readFileSync(join(trial.directory, "log"), "utf8") : trial.stderr;
    // The log was there, and at its most talkative; the broker never failed inside.
    for (const action of actions) expect(log).toContain(action);
    for (const known of [
      "key-of-set",
      "worker-of-all",
      "queue-of-all",
      "channel-of-all",
      "broker stopped",
      "heartbeat",
      "authentication failed",
    ]) {
      expect(log).toContain(known);
    }
    expect(log).not.toContain("internal error");
    if (into === "a file") expect(statSync(join(trial.directory, "log")).mode & 0o777).toBe(0o600);
    const failed = refusals.filter((reply) => (reply as { ok?: unknown }).ok === false);
    expect(failed.length).toBeGreaterThan(500);
    const everything = { log, stderr: trial.stderr, refusals: failed, seen, said };
    for (const [where, what] of Object.entries(everything)) {
      expect([where, marksIn(typeof what === "string" ? what : JSON.stringify(what), secrets)]).toEqual([where, []]);
    }
  },
  60_000,
);

/** Marks, plain or as base64 or hex, and other things that nobody may see. */
function marksIn(text: string, secrets: readonly string[]): readonly string[] {
  const marks = [...text.matchAll(/.{0,60}(?:canary-|Y2FuYXJ5L|63616e617279).{0,20}/g)].map(([found]) => found);
  return [...marks.slice(0, 3), ...secrets.filter((one) => text.includes(one))];
}
