/**
 * `bun run build`: one executable that takes nothing from the folder it is run in, and the client as one file for Node.
 */
import { expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "../support/broker.ts";
import { bare, invoke } from "../support/invocation.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Runs the build of package.json with its output in a folder of its own. */
async function build(directory: string): Promise<void> {
  for (const name of ["src", "node_modules", "package.json", "tsconfig.json"]) {
    symlinkSync(`${root}/${name}`, `${directory}/${name}`);
  }
  const building = Bun.spawn([process.execPath, "run", "build"], { cwd: directory, stdout: "ignore", stderr: "pipe" });
  const complaints = await building.stderr.text();
  expect({ status: await building.exited, complaints }).toMatchObject({ status: 0 });
}

test("bun run build makes an executable deaf to .env and bunfig.toml, and a client for Node", async () => {
  using built = temporaryDirectory();
  await build(built.path);
  const binary = { name: "binary", argv: [`${built.path}/dist/ephemeral`] } as const;
  const source = { name: "source", argv: [process.execPath, `${root}/src/cli/main.ts`] } as const;

  using trap = temporaryDirectory();
  await Bun.write(`${trap.path}/.env`, "EPHEMERAL_SECRET=\nEPHEMERAL_PIPE=/from/env/file\nPATH=/nowhere\n");
  await Bun.write(`${trap.path}/bunfig.toml`, 'preload = ["./preload.ts"]\n');
  await Bun.write(`${trap.path}/preload.ts`, 'console.log("preloaded");\n');

  const environment = { XDG_RUNTIME_DIR: trap.path };
  const say = ["start", "--", "sh", "-c", 'echo "$' + "{EPHEMERAL_SECRET-none}" + ' $PATH"'];
  expect(await invoke(binary, { args: say, directory: trap.path, environment })).toEqual({
    status: 0,
    stdout: `none ${process.env.PATH}\n`,
    stderr: "",
  });
  expect(await invoke(binary, { args: ["ping"], directory: trap.path, environment })).toMatchObject({
    status: 69,
    stdout: "",
    stderr: expect.stringContaining("EPHEMERAL_PIPE is not set"),
  });
  // The trap works: the source, run by bun itself, falls into it.
  const trapped = await invoke(source, { args: ["ping"], directory: trap.path, environment });
  expect(trapped.stdout).toBe("preloaded\n");
  expect(trapped.stderr).toContain("EPHEMERAL_SECRET is empty");

  const script = `const { Client, EphemeralError } = await import(${JSON.stringify(`${built.path}/dist/client.js`)});
    try { new Client(); } catch (error) { console.log(error instanceof EphemeralError, error.code); }`;
  const node = Bun.spawn(["node", "--input-type=module", "-e", script], {
    env: bare(),
    stdout: "pipe",
    stderr: "pipe",
  });
  expect([await node.stdout.text(), await node.stderr.text()]).toEqual(["true unavailable\n", ""]);
});
