/**
 * install.sh against a server of our own: what it installs where, how it picks the archive, and that nothing is installed or
 * run when anything is not as it should be. The program in the archives is a script that tells when it is run.
 */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readlinkSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { tarGz } from "../../src/release/archive.ts";
import { releaseTargets } from "../../src/release/targets.ts";
import { temporaryDirectory } from "../support/broker.ts";

const script = join(import.meta.dir, "../../src/release/install.sh");
const sha256 = (bytes: Uint8Array): string => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

/** An archive whose program leaves a trace in $TRACE. */
function archiveOf(target: string, program = 'echo ran >> "$TRACE"; echo 1.2.3'): Uint8Array {
  const folder = `ephemeral-${target}`;
  const texts = { ephemeral: `#!/bin/sh\n${program}\n`, "completions/ephemeral.bash": "bash\n" };
  const all = { ...texts, "completions/_ephemeral": "zsh\n", "completions/ephemeral.fish": "fish\n" };
  const files = Object.entries(all).map(([path, text]) => ({
    path: `${folder}/${path}`,
    bytes: Buffer.from(text),
    isExecutable: path === "ephemeral",
  }));
  return tarGz(files, { atMs: 1_790_000_000_000 });
}

interface Site extends Disposable {
  readonly url: string;
  /** What is served under which name; to be changed at will. */
  readonly files: Map<string, string | Uint8Array>;
}

/** A server with a good archive for every target and their sums. */
function site(): Site {
  const files = new Map<string, string | Uint8Array>();
  const archives = releaseTargets.map(({ name }) => [`ephemeral-${name}.tar.gz`, archiveOf(name)] as const);
  for (const [name, bytes] of archives) files.set(name, bytes);
  files.set("SHA256SUMS", archives.map(([name, bytes]) => `${sha256(bytes)}  ${name}\n`).join(""));
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const found = files.get(new URL(request.url).pathname.slice("/v1/".length));
      return found === undefined ? new Response("no such file", { status: 404 }) : new Response(Buffer.from(found));
    },
  });
  return { url: `http://127.0.0.1:${server.port}/v1`, files, [Symbol.dispose]: () => void server.stop(true) };
}

interface Home extends Disposable {
  readonly path: string;
  readonly trace: string;
  run(args: readonly string[], environment?: Record<string, string>): Promise<{ status: number; output: string }>;
}

function home(): Home {
  const directory = temporaryDirectory();
  const temporary = join(directory.path, "tmp");
  mkdirSync(temporary);
  const trace = join(directory.path, "trace");
  return {
    path: directory.path,
    trace,
    async run(args, environment = {}) {
      const variables = { PATH: process.env.PATH ?? "", HOME: directory.path, TMPDIR: temporary, TRACE: trace };
      const child = Bun.spawn(["sh", script, ...args], {
        cwd: directory.path,
        env: { ...variables, ...environment },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
        timeout: 15_000,
      });
      const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      expect(readdirSync(temporary)).toEqual([]);
      return { status, output: stdout + stderr };
    },
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

/** A folder of programs that stand before those of the system. */
async function standIns(folder: string, programs: Record<string, string>): Promise<string> {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(programs)) {
    await Bun.write(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  return `${folder}:${process.env.PATH}`;
}

/** A PATH with these programs of the system and no others. */
function only(folder: string, programs: readonly string[]): string {
  mkdirSync(folder, { recursive: true });
  for (const program of programs) symlinkSync(Bun.which(program) ?? `no ${program}`, join(folder, program));
  return folder;
}

const needed = ["sh", "mktemp", "rm", "cut", "awk", "tar", "gzip", "mkdir", "cp", "chmod", "mv", "ln", "cat", "uname"];

/** .ci/run demands all; elsewhere those that are there. */
const toolSets = [
  { tools: ["curl", "sha256sum"] },
  { tools: ["wget", "shasum", "perl"] },
  { tools: ["curl", "openssl"] },
].filter(
  ({ tools }) => process.env.EPHEMERAL_TEST_REQUIRE === "all" || tools.every((tool) => Bun.which(tool) !== null),
);

describe("install.sh", () => {
  test("installs program, second name and completions under ~/.local, and says so", async () => {
    using served = site();
    using place = home();
    const { status, output } = await place.run(["--url", served.url, "--target", "linux-x64"]);
    const local = join(place.path, ".local");
    expect({ status, output }).toEqual({
      status: 0,
      output: `ephemeral 1.2.3 is installed: ${local}/bin/ephemeral\nNot on PATH yet: add ${local}/bin to it\n`,
    });
    expect(statSync(join(local, "bin/ephemeral")).mode & 0o777).toBe(0o755);
    expect(readlinkSync(join(local, "bin/ephemerald"))).toBe("ephemeral");
    expect(readdirSync(join(local, "bin")).sort()).toEqual(["ephemeral", "ephemerald"]);
    const completions = ["bash-completion/completions/ephemeral", "zsh/site-functions/_ephemeral"];
    for (const path of [...completions, "fish/vendor_completions.d/ephemeral.fish"]) {
      expect(existsSync(join(local, "share", path))).toBe(true);
    }
  });

  test("takes place and address from variables, and a prefix with spaces", async () => {
    using served = site();
    using place = home();
    const prefix = join(place.path, "a b");
    const environment = { EPHEMERAL_INSTALL_URL: `${served.url}/`, EPHEMERAL_INSTALL_PREFIX: prefix };
    const { status, output } = await place.run(["--target", "linux-arm64"], {
      ...environment,
      PATH: `${prefix}/bin:${process.env.PATH}`,
    });
    expect({ status, output }).toEqual({
      status: 0,
      output: `ephemeral 1.2.3 is installed: ${prefix}/bin/ephemeral\n`,
    });
  });

  test("replaces a program without touching the file that others may be running", async () => {
    using served = site();
    using place = home();
    const program = join(place.path, ".local/bin/ephemeral");
    await Bun.write(program, "the old one");
    const running = Bun.file(program);
    const before = statSync(program).ino;
    expect((await place.run(["--url", served.url, "--target", "linux-x64"])).status).toBe(0);
    expect(statSync(program).ino).not.toBe(before);
    expect(await running.text()).toStartWith("#!/bin/sh");
  });

  const evil = archiveOf("linux-x64", 'echo evil >> "$TRACE"');
  const other = archiveOf("linux-arm64");
  test.each<[string, (served: Site) => void, string]>([
    [
      "another archive than the sums tell",
      ({ files }) => files.set("ephemeral-linux-x64.tar.gz", evil),
      "is not what it",
    ],
    ["an archive cut short", ({ files }) => cutShort(files), "is not what it should be"],
    [
      "an error page instead",
      ({ files }) => files.set("ephemeral-linux-x64.tar.gz", "<html>"),
      "is not what it should be",
    ],
    ["no archive", ({ files }) => files.delete("ephemeral-linux-x64.tar.gz"), "cannot fetch"],
    ["no sums", ({ files }) => files.delete("SHA256SUMS"), "cannot fetch"],
    ["empty sums", ({ files }) => files.set("SHA256SUMS", ""), "has no line for"],
    ["sums of other files", ({ files }) => files.set("SHA256SUMS", `${sha256(other)}  other.tar.gz\n`), "has no line"],
    [
      "a sum for a name that only begins alike",
      ({ files }) => files.set("SHA256SUMS", `${sha256(evil)}  ephemeral-linux-x64.tar.gz.sig\n`),
      "has no line for",
    ],
    [
      "a sum that is too short",
      ({ files }) => files.set("SHA256SUMS", `${sha256(evil).slice(0, 8)}  ephemeral-linux-x64.tar.gz\n`),
      "has no line for",
    ],
  ])("installs and runs nothing when there is %s", async (_, spoil, reason) => {
    using served = site();
    using place = home();
    spoil(served);
    const { status, output } = await place.run(["--url", served.url, "--target", "linux-x64"]);
    expect(output).toContain(reason);
    expect(status).toBe(1);
    expect({ installed: existsSync(join(place.path, ".local")), ran: existsSync(place.trace) }).toEqual({
      installed: false,
      ran: false,
    });
  });

  test("leaves what was installed before as it was when the archive is refused", async () => {
    using served = site();
    using place = home();
    expect((await place.run(["--url", served.url, "--target", "linux-x64"])).status).toBe(0);
    const program = Bun.file(join(place.path, ".local/bin/ephemeral"));
    const before = await program.text();
    served.files.set("ephemeral-linux-x64.tar.gz", evil);
    expect((await place.run(["--url", served.url, "--target", "linux-x64"])).status).toBe(1);
    expect(await program.text()).toBe(before);
    expect(await Bun.file(place.trace).text()).toBe("ran\n");
  });

  test("trusts --sha256 more than sums that were changed together with the archive", async () => {
    using served = site();
    using place = home();
    const good = served.files.get("ephemeral-linux-x64.tar.gz");
    const pinned = sha256(Buffer.from(good ?? ""));
    served.files.set("ephemeral-linux-x64.tar.gz", evil);
    served.files.set("SHA256SUMS", `${sha256(evil)}  ephemeral-linux-x64.tar.gz\n`);
    const args = ["--url", served.url, "--target", "linux-x64", "--sha256", pinned];
    expect((await place.run(args)).output).toContain("is not what it should be; nothing is installed");
    expect(existsSync(place.trace)).toBe(false);
    served.files.set("ephemeral-linux-x64.tar.gz", good ?? "");
    expect((await place.run(args)).status).toBe(0);
  });

  test.each([
    ["Linux", "x86_64", "ldd (Debian GLIBC 2.36-9) 2.36", "linux-x64"],
    ["Linux", "amd64", "musl libc (x86_64)", "linux-x64-musl"],
    ["Linux", "aarch64", "ldd (GNU libc) 2.39", "linux-arm64"],
    ["Linux", "arm64", "musl libc (aarch64)", "linux-arm64-musl"],
    ["Darwin", "arm64", "", "darwin-arm64"],
  ])("on %s, %s and with %j takes %s", async (system, processor, ldd, target) => {
    using served = site();
    using place = home();
    const uname = `case $1 in -s) echo ${system} ;; -m) echo ${processor} ;; esac`;
    const path = await standIns(join(place.path, "programs"), { uname, ldd: `echo "${ldd}" >&2; exit 1` });
    for (const name of served.files.keys()) {
      if (name !== "SHA256SUMS" && name !== `ephemeral-${target}.tar.gz`) served.files.delete(name);
    }
    expect(await place.run(["--url", served.url], { PATH: path })).toMatchObject({ status: 0 });
  });

  test("takes a translated shell on an ARM Mac for what it is, and refuses an Intel Mac", async () => {
    using served = site();
    using place = home();
    const uname = "case $1 in -s) echo Darwin ;; -m) echo x86_64 ;; esac";
    const arm = await standIns(join(place.path, "arm"), { uname, sysctl: "echo 1" });
    expect(await place.run(["--url", served.url], { PATH: arm })).toMatchObject({ status: 0 });
    const intel = await standIns(join(place.path, "intel"), { uname, sysctl: "exit 1" });
    const refused = { status: 1, output: "install.sh: there is no executable for Intel Macs\n" };
    expect(await place.run(["--url", served.url], { PATH: intel })).toEqual(refused);
  });

  test.each([
    ["FreeBSD", "amd64", "there is no executable for FreeBSD"],
    ["Linux", "riscv64", "there is no executable for a processor of the kind riscv64"],
  ])("refuses %s on %s", async (system, processor, reason) => {
    using place = home();
    const uname = `case $1 in -s) echo ${system} ;; -m) echo ${processor} ;; esac`;
    const path = await standIns(join(place.path, "programs"), { uname });
    const { status, output } = await place.run(["--url", "http://127.0.0.1:9"], { PATH: path });
    expect({ status, isTold: output.includes(reason) }).toEqual({ status: 1, isTold: true });
  });

  test.each(toolSets)("makes do with $tools", async ({ tools }) => {
    using served = site();
    using place = home();
    const path = only(join(place.path, "programs"), [...needed, ...tools]);
    const args = ["--url", served.url, "--target", "linux-x64"];
    expect(await place.run(args, { PATH: path })).toMatchObject({ status: 0 });
    served.files.set("ephemeral-linux-x64.tar.gz", evil);
    expect(await place.run(args, { PATH: path })).toMatchObject({ status: 1 });
  });

  test.each([
    ["fetch with", ["sha256sum"], "neither curl nor wget is there"],
    ["check with", ["curl"], "neither sha256sum, shasum nor openssl is there"],
  ])("installs nothing where there is nothing to %s", async (_, tools, reason) => {
    using served = site();
    using place = home();
    const path = only(join(place.path, "programs"), [...needed, ...tools]);
    const { status, output } = await place.run(["--url", served.url, "--target", "linux-x64"], { PATH: path });
    expect({ status, isTold: output.includes(reason) }).toEqual({ status: 1, isTold: true });
    expect(existsSync(join(place.path, ".local"))).toBe(false);
  });

  test("says what a musl system lacks when the program does not run", async () => {
    using served = site();
    using place = home();
    const broken = archiveOf("linux-x64-musl", "echo 'Error loading shared library libstdc++.so.6' >&2; exit 127");
    served.files.set("ephemeral-linux-x64-musl.tar.gz", broken);
    served.files.set("SHA256SUMS", `${sha256(broken)}  ephemeral-linux-x64-musl.tar.gz\n`);
    const { status, output } = await place.run(["--url", served.url, "--target", "linux-x64-musl"]);
    expect({ status, isTold: output.includes("apk add libstdc++") }).toEqual({ status: 1, isTold: true });
  });

  test.each([
    [[], "where from?"],
    [["--odd"], "unknown argument --odd"],
    [["--url"], "--url lacks its value"],
    [["--prefix", ""], "--prefix lacks its value"],
  ])("refuses %j with status 64", async (args, reason) => {
    using place = home();
    const { status, output } = await place.run(args);
    expect({ status, isTold: output.includes(reason) }).toEqual({ status: 64, isTold: true });
  });

  test("does nothing when it was cut short on its own way", async () => {
    using served = site();
    using place = home();
    const text = await Bun.file(script).text();
    for (const part of [0.3, 0.6, 0.9, 0.999]) {
      const cut = join(place.path, "cut.sh");
      await Bun.write(cut, text.slice(0, Math.floor((text.length - '\nmain "$@"'.length) * part)));
      const child = Bun.spawn(["sh", cut, "--url", served.url, "--target", "linux-x64"], {
        env: { PATH: process.env.PATH ?? "", HOME: place.path, TRACE: place.trace },
        stdout: "ignore",
        stderr: "ignore",
      });
      await child.exited;
      expect(existsSync(join(place.path, ".local"))).toBe(false);
    }
  });
});

function cutShort(files: Site["files"]): void {
  const name = "ephemeral-linux-x64.tar.gz";
  const whole = Buffer.from(files.get(name) ?? "");
  files.set(name, whole.subarray(0, whole.length - 1));
}
