/**
 * Completions as the shells themselves make them from our scripts: every command, every flag, the words a flag takes, the
 * brokers there are, and behind start what the command that is run has to offer.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "../../src/cli/page.ts";
import { commandNames, loadPage } from "../../src/cli/pages.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { invoke } from "../support/invocation.ts";
import { binaryProgram } from "../support/programs.ts";
import { isTested, offeredBy, type ShellName, shellNames } from "../support/shells.ts";

setDefaultTimeout(60_000);

const binary = await binaryProgram();
const pages = new Map<string, Page | undefined>();
for (const name of commandNames) pages.set(name, await loadPage(name));

const home = temporaryDirectory();
afterAll(() => home[Symbol.dispose]());
const program = join(home.path, "bin/ephemeral");
await Bun.write(program, `#!/bin/sh\nexec ${binary.argv.map((word) => `'${word}'`).join(" ")} "$@"\n`);
chmodSync(program, 0o755);
const environment = { PATH: `${home.path}/bin:${process.env.PATH}`, XDG_RUNTIME_DIR: home.path };

/** Long flags of a page, as they are typed. */
function flagsOf(name: string): string[] {
  const flags = Object.entries(pages.get(name)?.args ?? {}).flatMap(([flag, definition]) => {
    if (definition.type === "positional") return [];
    const opposite = definition.type === "boolean" ? definition.negativeDescription : undefined;
    return opposite === undefined ? [`--${flag}`] : [`--${flag}`, `--no-${flag}`];
  });
  return [...flags, "--help"].sort();
}

describe.each(shellNames)("ephemeral completions %s", (shell: ShellName) => {
  const here = test.skipIf(!isTested(shell));
  let script = "";
  const offered = async (line: string): Promise<string[]> => {
    script ||= (await invoke(binary, { args: ["completions", shell] })).stdout;
    return (await offeredBy(shell, { line, script, environment })).sort();
  };

  here("completes commands", async () => {
    expect(await offered("ephemeral st")).toEqual(["start", "stats", "stop"]);
    expect((await offered("ephemeral ")).filter((word) => !word.startsWith("-"))).toEqual([...commandNames].sort());
  });

  here.each(commandNames.map((name) => [name]))("completes every flag of %s", async (name) => {
    expect(await offered(`ephemeral ${name} --`)).toEqual(flagsOf(name));
  });

  here.each([
    ["ephemeral lease --scope ", ["session", "ttl"]],
    ["ephemeral set k v --if ", ["absent", "present"]],
    ["ephemeral start --log-level ", ["debug", "error", "info", "off", "warning"]],
    ["ephemeral start --log-format t", ["text"]],
    ["ephemeral start --owner ", ["stdin"]],
    ["ephemeral pool ", ["add", "define", "quarantine", "remove", "show"]],
    ["ephemeral completions ", ["bash", "fish", "zsh"]],
    ["ephemeral help sto", ["stop"]],
    ["ephemeral start --join --grace 5s --log-format ", ["json", "text"]],
  ])("completes the words of %j", async (line, words) => {
    expect(await offered(line)).toEqual(words);
  });

  here("completes a word behind an equals sign", async () => {
    const words = await offered("ephemeral lease --scope=s");
    expect(words.map((word) => word.replace("--scope=", ""))).toEqual(["session"]);
  });

  here("offers nothing for what nobody can guess", async () => {
    expect(await offered("ephemeral get --wait ")).toEqual([]);
    expect(await offered("ephemeral get ")).toEqual([]);
    expect(await offered("ephemeral lock ")).toEqual([]);
  });

  here("completes the files a flag takes", async () => {
    await Bun.write(join(home.path, "of-mine.txt"), "");
    const files = await offered(`ephemeral get k --secret-file ${home.path}/of-`);
    expect(files.map((file) => file.replace(/^.*\//, ""))).toEqual(["of-mine.txt"]);
  });

  here.each([
    ["ephemeral start git bran", ["branch"]],
    ["ephemeral start -- git bran", ["branch"]],
    ["ephemeral start --join --grace 5s -- git bran", ["branch"]],
    ["ephemeral lock database git bran", ["branch"]],
    ["ephemeral sem -n 3 browsers --wait 5s -- git bran", ["branch"]],
  ])("hands on to the command's own completion: %j", async (line, words) => {
    if (shell === "bash") script = `${await bashScript()}\n${gitsOwn}`;
    expect(await offered(line)).toEqual(words);
  });

  here("completes the command that start is to run", async () => {
    expect(await offered("ephemeral start -- mkfif")).toContain("mkfifo");
    expect(await offered("ephemeral start mkfif")).toContain("mkfifo");
    expect(await offered("ephemeral lock database mkfif")).toContain("mkfifo");
  });

  here("completes the names of the brokers that are running, and of no others", async () => {
    expect(await offered("ephemeral get --name ")).toEqual([]);
    await using broker = Bun.spawn([program, "start", "--name", "ci-one"], {
      env: environment,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    await broker.stdout.getReader().read();
    expect(await offered("ephemeral get --name ")).toEqual(["ci-one"]);
    expect(await offered("ephemeral stop --name ci-")).toEqual(["ci-one"]);
    broker.kill("SIGTERM");
    expect(await broker.exited).toBe(0);
  });

  async function bashScript(): Promise<string> {
    return (await invoke(binary, { args: ["completions", "bash"] })).stdout;
  }
});

/** As a command's completion is made for bash; the one git has comes with another package. */
const gitsOwn = `_git_words() { COMPREPLY=($(compgen -W "branch bisect" -- "$2")); }
complete -F _git_words git
`;

test("refuses a shell it has no script for", async () => {
  expect(await invoke(binary, { args: ["completions", "tcsh"] })).toEqual({
    status: 64,
    stdout: "",
    stderr: 'ephemeral: Cannot read SHELL: wanted bash, zsh, fish, got "tcsh"\nSee: ephemeral help completions\n',
  });
});
