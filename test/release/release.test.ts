/**
 * A release as it is made: what is in each archive, what kind of executable that is, and that those which can run here do. The
 * other systems' runtimes come from the registry, so without .ci/run only this system's archive is made.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import about from "../../package.json" with { type: "json" };
import { compileFlags } from "../../src/release/compile.ts";
import { release } from "../../src/release/release.ts";
import { releaseTargets, type Target } from "../../src/release/targets.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { type ExecutableHeader, executableHeader } from "../support/executable-file.ts";
import { invoke } from "../support/invocation.ts";
import { isMuslTested, muslLibraries } from "../support/musl.ts";

setDefaultTimeout(300_000);

const isAll = process.env.EPHEMERAL_TEST_REQUIRE === "all" || process.env.EPHEMERAL_TEST_INSTALL !== undefined;
const here = `${process.platform}-${process.arch}`;
const targets = releaseTargets.filter(({ name }) => isAll || name === here);

const directory = temporaryDirectory();
afterAll(() => directory[Symbol.dispose]());
const folder = join(directory.path, "release");
const unpackedIn = (target: Target): string => join(directory.path, `ephemeral-${target.name}`);
let made: readonly string[] = [];

beforeAll(async () => {
  made = await release({ folder, targets });
  for (const { name, archive } of targets) {
    const file = join(folder, `ephemeral-${name}.${archive}`);
    const command = archive === "zip" ? ["unzip", "-q", file] : ["tar", "-xzf", file];
    expect(await Bun.spawn(command, { cwd: directory.path }).exited).toBe(0);
  }
});

const headers: Record<string, ExecutableHeader> = {
  "linux-x64": { kind: "ELF", processor: "x64", loader: "/lib64/ld-linux-x86-64.so.2" },
  "linux-x64-musl": { kind: "ELF", processor: "x64", loader: "/lib/ld-musl-x86_64.so.1" },
  "linux-arm64": { kind: "ELF", processor: "arm64", loader: "/lib/ld-linux-aarch64.so.1" },
  "linux-arm64-musl": { kind: "ELF", processor: "arm64", loader: "/lib/ld-musl-aarch64.so.1" },
  "darwin-arm64": { kind: "Mach-O", processor: "arm64" },
  "windows-x64": { kind: "PE", processor: "x64" },
  "windows-arm64": { kind: "PE", processor: "arm64" },
};

test("a release is compiled with the flags of the build, which the other tests try", () => {
  const [flags = ""] = about.scripts.build.split(" src/cli/main.ts");
  expect(flags).toBe(`bun build ${compileFlags.join(" ")}`);
});

describe("release()", () => {
  test("names what it made, and lists the sum of every archive", async () => {
    const archives = targets.map(({ name, archive }) => `ephemeral-${name}.${archive}`);
    expect(made).toEqual([...archives, "SHA256SUMS", "install.sh"]);
    expect(readdirSync(folder).sort()).toEqual([...made].sort());
    const checking = Bun.spawn(["sha256sum", "--check", "--strict", "SHA256SUMS"], { cwd: folder, stdout: "pipe" });
    expect(await checking.stdout.text()).toBe(archives.map((name) => `${name}: OK\n`).join(""));
  });

  test.each(targets.map((target) => [target.name, target] as const))(
    "puts all into the archive for %s",
    async (_, target) => {
      const unpacked = unpackedIn(target);
      const files = [...new Bun.Glob("**/*").scanSync({ cwd: unpacked })].sort();
      const texts = ["LICENSE", "NOTICES.txt", "README.md", "VERSION"];
      const completions = ["_ephemeral", "ephemeral.bash", "ephemeral.fish"].map((name) => `completions/${name}`);
      expect(files).toEqual([...texts, ...completions, target.executable].sort());
      for (const file of files)
        expect({ file, isEmpty: statSync(join(unpacked, file)).size === 0 }).toEqual({ file, isEmpty: false });
      expect(statSync(join(unpacked, target.executable)).mode & 0o777).toBe(0o755);
      expect(await Bun.file(join(unpacked, "VERSION")).text()).toBe(`${about.version}\n`);
      const notices = await Bun.file(join(unpacked, "NOTICES.txt")).text();
      for (const name of Object.keys(about.dependencies)) expect(notices).toContain(`=== ${name} `);
    },
  );

  test.each(targets.map((target) => [target.name, target] as const))(
    "compiles an executable of the kind that %s loads",
    async (name, target) => {
      const bytes = await Bun.file(join(unpackedIn(target), target.executable)).bytes();
      const { signatureEnd, ...header } = executableHeader(bytes);
      expect(header).toEqual(headers[name] as typeof header);
      // macOS kills what is not signed to its last byte.
      expect(signatureEnd).toBe(target.name === "darwin-arm64" ? bytes.length : undefined);
      // The runtime and our own part, which names itself.
      expect(bytes.length).toBeGreaterThan(80_000_000);
      expect(Buffer.from(bytes.buffer).includes("Run a command with a broker of its own")).toBe(true);
    },
  );
});

describe.each(["linux-x64", "linux-x64-musl"])("the executable for %s", (name) => {
  const target = targets.find((target) => target.name === name);
  const isRun = target !== undefined && process.platform === "linux" && (name === here || isMuslTested);

  test.skipIf(!isRun)(
    "runs: version, completions of its archive, a run with values, exit status and nothing left",
    async () => {
      if (target === undefined) throw new Error("not made");
      using libraries = name.endsWith("musl") ? await muslLibraries() : undefined;
      const unpacked = unpackedIn(target);
      const program = { name: "binary", argv: [join(unpacked, target.executable)] } as const;
      const runtime = join(directory.path, `run-${name}`);
      mkdirSync(runtime, { mode: 0o700 });
      const loaded = libraries === undefined ? {} : { LD_LIBRARY_PATH: libraries.path };
      const environment = { XDG_RUNTIME_DIR: runtime, PROGRAM: program.argv[0], ...loaded };
      expect(await invoke(program, { args: ["version"], environment })).toEqual({
        status: 0,
        stdout: `${about.version}\n`,
        stderr: "",
      });
      const zsh = await invoke(program, { args: ["completions", "zsh"], environment });
      expect(zsh.stdout).toBe(await Bun.file(join(unpacked, "completions/_ephemeral")).text());
      const script =
        '"$PROGRAM" set k v && "$PROGRAM" get k && "$PROGRAM" lease a w --size 1 && "$PROGRAM" metrics | grep -c ^ephemeral; exit 3';
      const ran = await invoke(program, { args: ["start", "--", "sh", "-c", script], environment });
      expect(ran).toMatchObject({ status: 3, stdout: expect.stringMatching(/^v\n0\n\d+\n$/), stderr: "" });
      expect(readdirSync(runtime)).toEqual([]);
    },
  );
});
