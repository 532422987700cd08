/** Where a secret comes from, which one wins, which files are safe to take it from, and that no message shows any of it. */
import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findSecret } from "../../src/cli/settings/secret.ts";
import type { Environment, Flags } from "../../src/cli/settings/settings.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { binaryProgram } from "../support/programs.ts";
import { refusal } from "../support/refusal.ts";
import { Trial } from "../support/trial.ts";

const program = await binaryProgram();

/** A file of ours with `content`. */
function secretFile(directory: string, content: string | Uint8Array, mode = 0o600): string {
  const path = join(directory, "secret");
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

describe("findSecret()", () => {
  const file = { EPHEMERAL_SECRET_FILE: "FILE" };
  test.each<[Flags, Environment, { broker?: string; client?: string }]>([
    [{}, {}, {}],
    [{ secret: "f" }, { EPHEMERAL_SECRET: "e", ...file }, { broker: "f", client: "f" }],
    [
      { "secret-file": "FILE" },
      { EPHEMERAL_SECRET: "e", CLIENT_SECRET: "c" },
      { broker: "in file", client: "in file" },
    ],
    [{}, { EPHEMERAL_SECRET: "e", ...file }, { broker: "e", client: "e" }],
    [{}, { ...file, BROKER_SECRET: "b" }, { broker: "in file", client: "in file" }],
    [{}, { BROKER_SECRET: "b" }, { broker: "b" }],
    [{}, { CLIENT_SECRET: "c" }, { client: "c" }],
    [{}, { CLIENT_SECRET: "c", EPHEMERAL_SECRET: "e", ...file }, { broker: "e", client: "c" }],
  ])("of %j and %j", (flags, environment, { broker, client }) => {
    using directory = temporaryDirectory();
    const path = secretFile(directory.path, "in file\n");
    const placed = <Settings extends object>(settings: Settings): Settings =>
      JSON.parse(JSON.stringify(settings).replaceAll('"FILE"', JSON.stringify(path)));
    const sources = { flags: placed(flags), environment: placed(environment) };
    expect([findSecret(sources, "broker"), findSecret(sources, "client")]).toEqual([broker, client]);
  });

  test.each([
    ["s", "s"],
    ["s\n", "s"],
    ["s\r\n", "s"],
    ["s\n\n", "s\n"],
    [" s \n", " s "],
    ["\ufeffs\n", "\ufeffs"],
    ["é€😀", "é€😀"],
    ["x".repeat(8192), "x".repeat(8192)],
  ])("reads a file of %j to the last byte but one line feed", (content, secret) => {
    using directory = temporaryDirectory();
    const path = secretFile(directory.path, content);
    expect(findSecret({ flags: { "secret-file": path }, environment: {} }, "broker")).toBe(secret);
  });

  test.each([0o600, 0o400, 0o700])("takes a file of mode %o", (mode) => {
    using directory = temporaryDirectory();
    const flags = { "secret-file": secretFile(directory.path, "s", mode) };
    expect(findSecret({ flags, environment: {} }, "client")).toBe("s");
  });

  test.each([0o640, 0o604, 0o620, 0o602, 0o610, 0o601])("refuses a file of mode %o", (mode) => {
    using directory = temporaryDirectory();
    const path = secretFile(directory.path, "hunter2", mode);
    const error = refusal(() => findSecret({ flags: {}, environment: { EPHEMERAL_SECRET_FILE: path } }, "client"));
    const actual = `others may use it (mode ${mode.toString(8)})`;
    expect(error).toMatchObject({
      code: "bad_command",
      message: `Cannot use the secret file ${path} (EPHEMERAL_SECRET_FILE): ${actual}`,
      hint: `Make it yours alone: chmod 600 ${path}`,
    });
  });

  test("refuses somebody else's file, even one it can read", () => {
    using directory = temporaryDirectory();
    const isRoot = process.getuid?.() === 0;
    const path = isRoot ? secretFile(directory.path, "hunter2") : "/etc/passwd";
    if (isRoot) chownSync(path, 12345, 12345);
    const error = refusal(() => findSecret({ flags: { "secret-file": path }, environment: {} }, "broker"));
    expect(error.message).toBe(
      `Cannot use the secret file ${path} (--secret-file): it belongs to user ${isRoot ? 12345 : 0}, not to us`,
    );
  });

  test.each<[string, string | Uint8Array, string]>([
    ["an empty one", "", "it is empty"],
    ["one with a line feed alone", "\n", "it is empty"],
    ["one that is no text", Buffer.from("hunter2\xff", "latin1"), "wanted text, got bytes that are no UTF-8"],
    ["one that is too long", "hunter2".repeat(1200), "it has over 8192 bytes"],
  ])("refuses %s without a word of it", (_what, content, actual) => {
    using directory = temporaryDirectory();
    const path = secretFile(directory.path, content);
    const error = refusal(() => findSecret({ flags: { "secret-file": path }, environment: {} }, "broker"));
    expect(error.message).toBe(`Cannot use the secret file ${path} (--secret-file): ${actual}`);
  });

  test.each<[Flags, Environment, string]>([
    [{ "secret-file": "/" }, {}, "Cannot use the secret file / (--secret-file): it is no file"],
    [
      { "secret-file": "/missing/file" },
      {},
      "Cannot use the secret file /missing/file (--secret-file): there is no such file",
    ],
    [{ "secret-file": "" }, {}, "Cannot use the secret: --secret-file is empty"],
    [{}, { EPHEMERAL_SECRET_FILE: "" }, "Cannot use the secret: EPHEMERAL_SECRET_FILE is empty"],
    [{ secret: "" }, { EPHEMERAL_SECRET: "e" }, "Cannot use the secret: --secret is empty"],
    [{ secret: "hunter2", "secret-file": "f" }, {}, "Cannot use the secret: --secret and --secret-file are both given"],
  ])("of %j and %j refuses", (flags, environment, message) => {
    const error = refusal(() => findSecret({ flags, environment }, "broker"));
    expect([error.code, error.message]).toEqual(["bad_command", message]);
  });
});

describe("--secret-file", () => {
  test("serves broker and client alike, from a pipe too, and is found by its variable", async () => {
    const us = program.argv.map((word) => `'${word}'`).join(" ");
    const script = [
      "umask 077; echo hunter2 > secret; echo hunter3 > wrong",
      `inside='
        test "$EPHEMERAL_SECRET" = hunter2 || exit 3
        unset EPHEMERAL_SECRET
        ${us.replaceAll("'", "")} ping --secret-file secret > /dev/null || exit 4
        EPHEMERAL_SECRET_FILE=secret ${us.replaceAll("'", "")} ping > /dev/null || exit 5
        ${us.replaceAll("'", "")} ping --secret-file wrong 2> /dev/null; test $? = 77 || exit 6
        ${us.replaceAll("'", "")} ping 2> /dev/null; test $? = 77 || exit 7'`,
      `${us} start --secret-file secret -- sh -c "$inside" || exit $?`,
      `${us} start --secret-file <(cat secret) -- sh -c 'test "$EPHEMERAL_SECRET" = hunter2'`,
    ].join("\n");
    await using trial = new Trial({ name: "source", argv: ["bash", "-c"] }, { args: [script] });
    expect(await trial.ending()).toEqual({ status: 0, killed: false });
  });
});
