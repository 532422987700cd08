/**
 * The doctor: every finding it has, each brought about for real where it can be, with what it says to do; that it shows no
 * secret and changes nothing; and how the command ends.
 */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import about from "../../package.json" with { type: "json" };
import { claimRunDirectory } from "../../src/broker/pipe/run-directory.ts";
import { brokerFindings } from "../../src/cli/doctor/broker.ts";
import type { Finding } from "../../src/cli/doctor/finding.ts";
import { placeFindings } from "../../src/cli/doctor/place.ts";
import { programFindings } from "../../src/cli/doctor/programs.ts";
import { secretFindings } from "../../src/cli/doctor/secrets.ts";
import { knownVariables, variableFindings } from "../../src/cli/doctor/variables.ts";
import { webDoorFindings } from "../../src/cli/doctor/web-door.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { temporaryDirectory, testBroker } from "../support/broker.ts";
import { invoke } from "../support/invocation.ts";
import { programs } from "../support/programs.ts";

const both = await programs();
const secret = "a-secret-nobody-may-see";

/** The findings of one topic, or all that are not ok. */
function ofTopic(findings: readonly Finding[], topic: string): Finding[] {
  return findings.filter((finding) => finding.topic === topic);
}
const notOk = (findings: readonly Finding[]): Finding[] => findings.filter(({ level }) => level !== "ok");

describe("brokerFindings()", () => {
  const look = (environment: Record<string, string>, flags: Record<string, string> = {}) =>
    brokerFindings({ flags, environment });

  test("without a broker named has nothing to complain of", async () => {
    expect(await look({})).toEqual([
      { topic: "pipe", level: "ok", text: "EPHEMERAL_PIPE is not set: there is no run here to look at" },
    ]);
  });

  test("of a broker that is well tells how fast it is, its version and that it lets us in", async () => {
    await using broker = await testBroker();
    const [pipe, version, access] = await look({ EPHEMERAL_PIPE: broker.pipe });
    expect(pipe?.text).toMatch(/ \(EPHEMERAL_PIPE\) answers in \d+\.\d\d ms$/);
    expect(version).toEqual({ topic: "broker version", level: "ok", text: `${about.version}, as ours` });
    expect(access).toEqual({ topic: "access", level: "ok", text: "without a secret" });
  });

  test("of a broker with a secret tells whether it is ours", async () => {
    await using broker = await testBroker({ secret });
    const EPHEMERAL_PIPE = broker.pipe;
    expect((await look({ EPHEMERAL_PIPE, EPHEMERAL_SECRET: secret })).at(-1)?.text).toBe("it knows our secret");
    expect(await look({ EPHEMERAL_PIPE })).toEqual([
      {
        topic: "access",
        level: "fail",
        text: `the broker at ${broker.pipe} (EPHEMERAL_PIPE) has a secret, and we have none`,
        advice: "Set EPHEMERAL_SECRET to what it was started with",
      },
    ]);
    expect(notOk(await look({ EPHEMERAL_PIPE, EPHEMERAL_SECRET: "another" }))).toMatchObject([
      { topic: "access", level: "fail", text: expect.stringContaining("does not know our secret") },
    ]);
  });

  test("of a broker without a secret tells that ours is one too many", async () => {
    await using broker = await testBroker();
    expect(notOk(await look({ EPHEMERAL_PIPE: broker.pipe, CLIENT_SECRET: secret }))).toMatchObject([
      { topic: "access", level: "fail", advice: expect.stringContaining("unset it if that was none") },
    ]);
  });

  test("of a broker of another version says so", async () => {
    using directory = temporaryDirectory();
    const pipe = join(directory.path, "sock");
    const broker = { version: "9.9.9", epoch: "e", startedAtMs: 0 };
    const hello = {
      protocol: 1,
      session: { id: "s1", secret: "x", resumed: false },
      holds: [],
      broker,
      limits: defaultLimits,
    };
    const listener = Bun.listen({
      unix: pipe,
      socket: {
        data(socket, chunk) {
          for (const line of chunk.toString().trimEnd().split("\n")) {
            const { id, action } = JSON.parse(line);
            socket.write(`${JSON.stringify({ id, ok: true, ...(action === "hello" ? hello : { pong: 1 }) })}\n`);
          }
        },
      },
    });
    chmodSync(pipe, 0o600);
    const findings = await look({ EPHEMERAL_PIPE: pipe });
    listener.stop(true);
    expect(ofTopic(findings, "broker version")).toEqual([
      {
        topic: "broker version",
        level: "warn",
        text: `9.9.9, ours is ${about.version}`,
        advice: "Start runs and their clients with the same version",
      },
    ]);
  });

  test("of a broker that does not answer says so", async () => {
    using directory = temporaryDirectory();
    const pipe = join(directory.path, "sock");
    const listener = Bun.listen({ unix: pipe, socket: { data() {} } });
    chmodSync(pipe, 0o600);
    const findings = await look({ EPHEMERAL_PIPE: pipe }, { timeout: "50ms" });
    listener.stop(true);
    expect(findings).toMatchObject([{ level: "fail", text: expect.stringContaining("does not answer within 50 ms") }]);
  });

  test.each<[string, (directory: string) => string, string, string]>([
    ["nothing", (directory) => join(directory, "none"), "nothing is at ", "Unset EPHEMERAL_PIPE"],
    ["a file", (directory) => made(directory, "file"), "is no socket", "Correct EPHEMERAL_PIPE"],
    [
      "a socket nobody listens at",
      (directory) => made(directory, "dead socket"),
      "nobody listens at",
      "Unset EPHEMERAL_PIPE",
    ],
    ["a socket open to others", (directory) => made(directory, "open socket"), "its mode is 666", "chmod 600"],
  ])("finds %s", async (_, make, text, advice) => {
    using directory = temporaryDirectory();
    expect(await look({ EPHEMERAL_PIPE: make(directory.path) })).toMatchObject([
      { topic: "pipe", level: "fail", text: expect.stringContaining(text), advice: expect.stringContaining(advice) },
    ]);
  });

  test("finds EPHEMERAL_PIPE empty", async () => {
    expect(await look({ EPHEMERAL_PIPE: "" })).toMatchObject([
      { level: "fail", text: "Cannot find the broker: EPHEMERAL_PIPE is empty" },
    ]);
  });
});

/** Something that is no broker's socket, and its path. */
function made(directory: string, what: "file" | "dead socket" | "open socket"): string {
  const path = join(directory, "sock");
  if (what === "file") {
    mkdirSync(path);
    return path;
  }
  // The runtime removes its socket when it stops listening; a link of it stays.
  const own = `${path}-own`;
  const listener = Bun.listen({ unix: own, socket: { data() {} } });
  chmodSync(own, what === "dead socket" ? 0o600 : 0o666);
  Bun.spawnSync(["ln", own, path]);
  listener.stop(true);
  return path;
}

describe("webDoorFindings()", () => {
  const look = (environment: Record<string, string>) => webDoorFindings({ flags: {}, environment });
  const nowhere = "ws://127.0.0.1:1/ws";

  test("without a URL or a port file has nothing to say", async () => {
    using directory = temporaryDirectory();
    expect(await look({ EPHEMERAL_PORT_FILE: join(directory.path, "none") })).toEqual([]);
    expect(await look({})).toEqual([]);
  });

  test("tells whether the door answers and lets us in, by token or by secret", async () => {
    await using open = await testBroker({ port: 0 });
    await using secretive = await testBroker({ port: 0, secret });
    const { url: EPHEMERAL_URL = "", token: EPHEMERAL_TOKEN = "" } = open;
    const well = { topic: "web door", level: "ok" } as const;
    expect(await look({ EPHEMERAL_URL, EPHEMERAL_TOKEN })).toEqual([
      { ...well, text: `${EPHEMERAL_URL} (EPHEMERAL_URL) answers and lets us in` },
    ]);
    expect(await look({ EPHEMERAL_URL: secretive.url ?? "", EPHEMERAL_SECRET: secret })).toMatchObject([well]);
    expect(await look({ EPHEMERAL_URL, EPHEMERAL_TOKEN: secret })).toMatchObject([
      { level: "fail", text: `${EPHEMERAL_URL} (EPHEMERAL_URL) does not know our token` },
    ]);
    for (let tries = 2; tries <= 10; tries++) await look({ EPHEMERAL_URL });
    expect(await look({ EPHEMERAL_URL })).toMatchObject([
      { level: "fail", text: expect.stringContaining("too many wrong tokens"), advice: "Wait for a minute" },
    ]);
  });

  test.each([
    ["no token", true, {}, "wants a token, and none is set"],
    ["a URL nobody answers at", false, { EPHEMERAL_URL: nowhere }, `nothing answers at ${nowhere} (EPHEMERAL_URL)`],
    ["a URL of another kind", false, { EPHEMERAL_URL: "http://127.0.0.1:1" }, "EPHEMERAL_URL cannot be dialled"],
    ["an empty URL", false, { EPHEMERAL_URL: "" }, "EPHEMERAL_URL cannot be dialled"],
  ])("finds %s", async (_, isThere, environment, text) => {
    await using broker = await testBroker({ port: 0 });
    expect(await look({ ...(isThere && { EPHEMERAL_URL: broker.url ?? "" }), ...environment })).toMatchObject([
      { topic: "web door", level: "fail", text: expect.stringContaining(text), advice: expect.any(String) },
    ]);
  });

  test("finds a port file whose door has gone", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "port");
    await Bun.write(path, "1\n");
    expect(await look({ EPHEMERAL_PORT_FILE: path })).toMatchObject([{ topic: "port file", level: "warn" }]);
    await using broker = await testBroker({ port: 0 });
    await Bun.write(path, new URL(broker.url ?? "").port);
    expect(await look({ EPHEMERAL_PORT_FILE: path })).toMatchObject([{ topic: "port file", level: "ok" }]);
  });
});

describe("placeFindings()", () => {
  test("finds a place that is well, and makes nothing in it", () => {
    using directory = temporaryDirectory();
    const findings = placeFindings({ XDG_RUNTIME_DIR: directory.path });
    expect(notOk(findings)).toEqual([]);
    expect(ofTopic(findings, "run root")[0]?.text).toBe(
      `${directory.path}/ephemeral is not there; the first broker makes it`,
    );
    expect(readdirSync(directory.path)).toEqual([]);
  });

  test.each<[string, (root: string) => void, string, string]>([
    ["open to others", (root) => mkdirSync(root, { mode: 0o755 }), "its mode is 755", "chmod 700"],
    ["a link", (root) => symlinkSync("/tmp", root), "symbolic link", "Remove it"],
    ["a link to nowhere", (root) => symlinkSync("/nowhere", root), "symbolic link", "Remove it"],
  ])("finds a run root that is %s", (_, make, text, advice) => {
    using directory = temporaryDirectory();
    make(`${directory.path}/ephemeral`);
    expect(notOk(placeFindings({ XDG_RUNTIME_DIR: directory.path }))).toMatchObject([
      {
        topic: "run root",
        level: "fail",
        text: expect.stringContaining(text),
        advice: expect.stringContaining(advice),
      },
    ]);
  });

  test("finds that the run root cannot be made", () => {
    expect(notOk(placeFindings({ TMPDIR: "/nowhere" }))).toMatchObject([
      { topic: "run root", level: "fail", text: expect.stringMatching(/cannot be made: \/nowhere is not there$/) },
    ]);
  });

  test("finds variables that are passed over", () => {
    const findings = notOk(placeFindings({ XDG_RUNTIME_DIR: "/nowhere", TMPDIR: "tmp" }));
    expect(findings).toMatchObject([
      { topic: "XDG_RUNTIME_DIR", level: "warn", text: expect.stringContaining("is passed over") },
      { topic: "TMPDIR", level: "warn", advice: "Set TMPDIR to an absolute path, or unset it" },
    ]);
  });

  test.each([
    [40, [], "ok"],
    [75, [{ topic: "path length", level: "warn" }], "names of 16 characters"],
    [95, [{ topic: "path length", level: "fail" }], "no broker fits"],
  ])("with a runtime directory of %i characters finds %j", (length, wanted, text) => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "x".repeat(length - directory.path.length - 1));
    mkdirSync(path);
    const findings = notOk(placeFindings({ XDG_RUNTIME_DIR: path }));
    expect(findings).toMatchObject(wanted);
    if (wanted.length > 0) expect(findings[0]?.text).toContain(text);
  });

  test("tells brokers, leftovers that are swept and leftovers that stay, and removes none", () => {
    using directory = temporaryDirectory();
    const root = `${directory.path}/ephemeral`;
    const living = claimRunDirectory(root, "living");
    for (const name of ["dead", "dead-with-notes", "empty"]) mkdirSync(join(root, name), { mode: 0o700 });
    Bun.spawnSync(["touch", `${root}/dead/lock`, `${root}/dead/sock`, `${root}/dead-with-notes/lock`]);
    Bun.spawnSync(["touch", `${root}/dead-with-notes/notes.txt`, `${root}/file`]);
    const findings = placeFindings({ XDG_RUNTIME_DIR: directory.path });
    living.release();
    expect(ofTopic(findings, "brokers")[0]?.text).toBe("1 broker of yours is running; see: ephemeral ls");
    const [swept, staying] = ofTopic(findings, "leftovers");
    expect(swept?.level).toBe("ok");
    expect(swept?.text).toEndWith(" of brokers that were killed: the next start or ls removes them");
    expect(swept?.text.split(" of brokers")[0]?.split(", ").sort()).toEqual(["dead", "empty"]);
    expect([staying?.level, staying?.advice]).toEqual(["warn", "Look what they are, and remove them"]);
    expect(staying?.text.split(" in /")[0]?.split(", ").sort()).toEqual(["dead-with-notes", "file"]);
    expect(existsSync(`${root}/dead/sock`)).toBe(true);
  });
});

describe("secretFindings()", () => {
  const look = (environment: Record<string, string>, flags: Record<string, string> = {}) =>
    secretFindings({ flags, environment });

  test.each<[Record<string, string>, string, string]>([
    [{}, "ok", "none is set"],
    [{ EPHEMERAL_SECRET: secret }, "ok", "set: EPHEMERAL_SECRET"],
    [{ CLIENT_SECRET: secret, EPHEMERAL_SECRET: secret }, "ok", "set: CLIENT_SECRET and EPHEMERAL_SECRET, alike"],
    [
      { CLIENT_SECRET: secret, EPHEMERAL_SECRET: "other" },
      "warn",
      "clients have another one (CLIENT_SECRET) than a broker started here (EPHEMERAL_SECRET)",
    ],
    [{ CLIENT_SECRET: secret }, "warn", "clients have one (CLIENT_SECRET), a broker started here has none"],
    [
      { BROKER_SECRET: secret },
      "warn",
      "a broker started here has one (BROKER_SECRET), clients outside its run have none",
    ],
    [{ EPHEMERAL_SECRET: "" }, "fail", "Cannot use the secret: EPHEMERAL_SECRET is empty"],
    [
      { EPHEMERAL_SECRET_FILE: "/nowhere" },
      "fail",
      "Cannot use the secret file /nowhere (EPHEMERAL_SECRET_FILE): there is no such file",
    ],
  ])("with %j finds %s: %s", (environment, level, text) => {
    expect(look(environment)).toMatchObject([{ topic: "secret", level, text }]);
  });

  test("finds a secret file that others can read", async () => {
    using directory = temporaryDirectory();
    const file = join(directory.path, "secret");
    await Bun.write(file, secret);
    chmodSync(file, 0o644);
    expect(look({}, { "secret-file": file })).toMatchObject([
      {
        level: "fail",
        text: expect.stringContaining("others may use it"),
        advice: `Make it yours alone: chmod 600 ${file}`,
      },
    ]);
    chmodSync(file, 0o600);
    expect(look({ EPHEMERAL_SECRET_FILE: file })).toMatchObject([{ level: "ok", text: "set: EPHEMERAL_SECRET_FILE" }]);
  });
});

describe("variableFindings()", () => {
  test("names those of ours that are set, without their values", async () => {
    expect(await variableFindings({ EPHEMERAL_SECRET: secret, EPHEMERAL_GRACE: "5s", HOME: "/" })).toEqual([
      { topic: "variables", level: "ok", text: "set: EPHEMERAL_GRACE, EPHEMERAL_SECRET" },
    ]);
    expect(await variableFindings({ BROKER_URL: "x", CLIENT_ID: "x" })).toMatchObject([
      { text: "none of ours is set" },
    ]);
  });

  test.each([
    [{ EPHEMERAL_SECRETS: secret }, "EPHEMERAL_SECRETS is set, but nobody reads it", "Did you mean EPHEMERAL_SECRET?"],
    [
      { EPHEMERAL_ITEM_MAX: "5" },
      "EPHEMERAL_ITEM_MAX is set, but nobody reads it",
      "Did you mean EPHEMERAL_ITEMS_MAX?",
    ],
    [{ BROKER_SECRT: secret }, "BROKER_SECRT is set, but nobody reads it", "Did you mean BROKER_SECRET?"],
    [
      { EPHEMERAL_OF_SOMETHING_ELSE: "" },
      "EPHEMERAL_OF_SOMETHING_ELSE is set, but nobody reads it",
      "Unset it; ephemeral help start names all there are",
    ],
  ])("finds %j unknown", async (environment, text, advice) => {
    expect(notOk(await variableFindings(environment))).toEqual([{ topic: "variables", level: "warn", text, advice }]);
  });

  test("finds those of the seed that have no effect", async () => {
    expect(notOk(await variableFindings({ BROKER_SWEEPER_INTERVAL: "1" }))).toMatchObject([
      {
        level: "warn",
        text: expect.stringContaining("has no effect: what has passed its deadline"),
        advice: "Unset BROKER_SWEEPER_INTERVAL",
      },
    ]);
  });

  test.each([
    [{ EPHEMERAL_GRACE: "soon" }, "Cannot read EPHEMERAL_GRACE: wanted a duration"],
    [{ CLIENT_TIMEOUT: "soon" }, "Cannot read CLIENT_TIMEOUT: wanted a duration"],
    [{ EPHEMERAL_ITEMS_MAX: "0" }, "Cannot read EPHEMERAL_ITEMS_MAX: the bound must be more than 0"],
  ])("finds %j unreadable", async (environment, text) => {
    const findings = notOk(await variableFindings(environment));
    expect(findings).toMatchObject([{ level: "fail", text: expect.stringContaining(text) }]);
    expect(findings[0]?.advice).toContain("unset it");
  });

  test.each([["BUN_OPTIONS"], ["BUN_BE_BUN"]])("finds %s", async (name) => {
    expect(notOk(await variableFindings({ [name]: "1" }))).toMatchObject([
      { topic: "runtime", level: "warn", text: expect.stringContaining(`${name} is set`), advice: `Unset ${name}` },
    ]);
  });

  test("knows every variable that stands in the source, and none that does not", async () => {
    const root = join(import.meta.dir, "../..");
    const paths = [...new Bun.Glob("src/**/*.{ts,sh}").scanSync(root)];
    const text = (await Promise.all(paths.map((path) => Bun.file(join(root, path)).text()))).join("\n");
    const named = new Set(text.match(/\b(?:EPHEMERAL|BROKER|CLIENT)_[A-Z][A-Z_]+[A-Z]\b/g));
    const known = await knownVariables();
    expect([...named].filter((name) => !known.has(name))).toEqual([]);
    expect(known.size).toBeGreaterThan(40);
  });
});

describe("programFindings()", () => {
  /** A PATH with programs that say what they are told to. */
  async function pathWith(directory: string, versions: Record<string, string>): Promise<string> {
    for (const [name, says] of Object.entries(versions)) {
      await Bun.write(join(directory, name), `#!/bin/sh\n${says}\n`);
      chmodSync(join(directory, name), 0o755);
    }
    return directory;
  }

  test("tells our version and runtime first", async () => {
    const [own] = await programFindings({ PATH: "" });
    const text = `ephemeral ${about.version} on Bun ${Bun.version}, ${process.platform} ${process.arch}`;
    expect(own).toEqual({ topic: "version", level: "ok", text });
  });

  test.each([
    ["bun", "echo 1.4.5", "ok", "1.4.5 ("],
    ["bun", "echo 1.3.9", "warn", "is older than 1.4.5"],
    ["node", "echo v20.20.2", "ok", "20.20.2 ("],
    ["node", "echo v18.1.0", "warn", "is older than 20.0.0, which the client needs"],
    ["node", "exit 1", "warn", "does not tell its version"],
  ])("of %s that does %j finds %s", async (name, says, level, text) => {
    using directory = temporaryDirectory();
    const findings = await programFindings({ PATH: await pathWith(directory.path, { [name]: says }) });
    expect(ofTopic(findings, name)).toMatchObject([{ level, text: expect.stringContaining(text) }]);
    expect(ofTopic(findings, name === "bun" ? "node" : "bun")[0]?.text).toBe("not on PATH; nothing of ours needs it");
  });

  test("finds that the tools which clean up are not there", async () => {
    const [found] = ofTopic(await programFindings({ PATH: "/nowhere" }), "clean-up");
    expect(found).toMatchObject({
      level: "warn",
      text: expect.stringContaining("not there: sleep, grep, tr, rm, rmdir;"),
    });
    expect(ofTopic(await programFindings({ PATH: "/usr/bin:/bin" }), "clean-up")[0]?.level).toBe("ok");
  });

  test("holds the open files against the connections a broker may have", async () => {
    const PATH = "";
    const fits = await programFindings({ PATH, EPHEMERAL_CONNECTIONS_MAX: "10" });
    expect(ofTopic(fits, "open files")).toMatchObject([
      { level: "ok", text: expect.stringMatching(/for connectionsMax 10$/) },
    ]);
    const tight = await programFindings({ PATH, EPHEMERAL_CONNECTIONS_MAX: "999999999" });
    expect(ofTopic(tight, "open files")).toMatchObject([
      { level: "warn", advice: expect.stringContaining("ulimit -Hn") },
    ]);
  });
});

describe.each(both.map((program) => [program.name, program] as const))("ephemeral doctor (%s)", (_, program) => {
  test("ends with 0 when all is well, and with 1 when something fails", async () => {
    using directory = temporaryDirectory();
    const environment = { XDG_RUNTIME_DIR: directory.path };
    const well = await invoke(program, { args: ["doctor"], environment });
    expect({ status: well.status, stderr: well.stderr }).toEqual({ status: 0, stderr: "" });
    expect(well.stdout).toContain(`ok    version: ephemeral ${about.version} on Bun `);
    expect(readdirSync(directory.path)).toEqual([]);

    const ill = await invoke(program, {
      args: ["doctor"],
      environment: { ...environment, EPHEMERAL_PIPE: "/nowhere" },
    });
    expect(ill.status).toBe(1);
    expect(ill.stdout).toStartWith(
      "fail  pipe: nothing is at /nowhere (EPHEMERAL_PIPE): its run is over\n      Unset EPHEMERAL_PIPE, or: ",
    );
  });

  test("warnings alone leave the status at 0", async () => {
    using directory = temporaryDirectory();
    const environment = { XDG_RUNTIME_DIR: directory.path, EPHEMERAL_ITEM_MAX: "5" };
    const { status, stdout } = await invoke(program, { args: ["doctor"], environment });
    expect(status).toBe(0);
    expect(stdout).toContain("warn  variables: EPHEMERAL_ITEM_MAX is set, but nobody reads it\n      Did you mean");
  });

  test("with --json prints one document", async () => {
    using directory = temporaryDirectory();
    const environment = { XDG_RUNTIME_DIR: directory.path, EPHEMERAL_PIPE: "/nowhere" };
    const { status, stdout } = await invoke(program, { args: ["doctor", "--json"], environment });
    const { healthy, findings } = JSON.parse(stdout);
    expect({ status, healthy, first: findings[0] }).toMatchObject({
      status: 1,
      healthy: false,
      first: { topic: "pipe", level: "fail", text: expect.any(String), advice: expect.any(String) },
    });
  });

  test("finds its own run well from within", async () => {
    using directory = temporaryDirectory();
    const environment = { XDG_RUNTIME_DIR: directory.path, EPHEMERAL_SECRET: secret };
    const inside = ["start", "--", ...program.argv, "doctor"];
    const { status, stdout, stderr } = await invoke(program, { args: inside, environment });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("(EPHEMERAL_PIPE) answers in ");
    expect(stdout).toContain("ok    access: it knows our secret\n");
  });

  test("sees the limit it was started under", async () => {
    const argv = ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh", ...program.argv];
    const { stdout } = await invoke({ name: "binary", argv }, { args: ["doctor"] });
    expect(stdout).toContain("warn  open files: 256 for connectionsMax 10000: a broker runs out");
    expect(stdout).toContain("EPHEMERAL_CONNECTIONS_MAX=192\n");
  });

  test("has colours when they are forced and none into a pipe", async () => {
    const forced = await invoke(program, { args: ["doctor"], environment: { FORCE_COLOR: "1" } });
    expect(forced.stdout).toContain("\x1b[2mok  \x1b[22m");
    expect((await invoke(program, { args: ["doctor"] })).stdout).not.toContain("\x1b");
  });

  test("shows no secret, wherever there is one, and whatever is wrong with it", async () => {
    using directory = temporaryDirectory();
    const file = join(directory.path, "secret");
    await Bun.write(file, secret);
    chmodSync(file, 0o600);
    const places = [
      "EPHEMERAL_SECRET",
      "CLIENT_SECRET",
      "BROKER_SECRET",
      "EPHEMERAL_SECRETS",
      "EPHEMERAL_TOKEN_OF_MINE",
    ];
    await using broker = await testBroker({ secret: `${secret}-of-the-broker` });
    for (const name of places) {
      for (const args of [["doctor"], ["doctor", "--json"], ["doctor", "--secret", secret]]) {
        const environment = { [name]: secret, EPHEMERAL_SECRET_FILE: file, EPHEMERAL_PIPE: broker.pipe };
        const { stdout, stderr } = await invoke(program, { args, environment });
        expect(stdout).toContain("access");
        expect(stdout + stderr).not.toContain(secret);
      }
    }
  });
});
