/** What citty does with arguments that our own reading of them must mend. Not Bun's doing, but pinned for the same reason. */
import { describe, expect, test } from "bun:test";
import { type ArgDef, type ArgsDef, defineCommand, parseArgs, runCommand } from "citty";
import { Scratch } from "./scratch.ts";

describe("citty", () => {
  test("has no numbers: what is given for one stays text, a wrong one too", () => {
    // Its types know no "number" either; this is what a careless cast comes to.
    const number = { type: "number" } as unknown as ArgDef;
    const { ttl, size } = parseArgs<ArgsDef>(["--ttl", "5000", "--size=many"], { ttl: number, size: number });
    expect<unknown[]>([ttl, size]).toEqual(["5000", "many"]);
  });

  test("makes a bare --secret the empty text", () => {
    expect<unknown>(parseArgs<ArgsDef>(["--secret"], { secret: { type: "string" } }).secret).toBe("");
  });

  test("lets flags it does not know pass", () => {
    expect(parseArgs(["--sekret=x", "--also"], { secret: { type: "string" } })).toMatchObject({
      sekret: "x",
      also: true,
    });
  });

  test("takes a flag behind an operand for its own", async () => {
    let seen: unknown;
    const start = defineCommand({
      args: { name: { type: "string" } },
      run: ({ args }) => {
        seen = [args.name, args._];
      },
    });
    await runCommand(start, { rawArgs: ["cmd", "--name", "y"] });
    expect(seen).toEqual(["y", ["cmd"]]);
  });

  test("prints its own help for a --help behind --", async () => {
    using scratch = new Scratch({
      "main.ts": `import { type ArgDef, type ArgsDef, defineCommand, runMain } from ${JSON.stringify(import.meta.resolve("citty"))};
        const start = defineCommand({ meta: { name: "start" }, run: () => console.log("ran") });
        await runMain(defineCommand({ meta: { name: "tool" }, subCommands: { start } }));`,
    });
    const { stdout } = await scratch.bun(["main.ts", "start", "--", "cmd", "--help"]);
    expect(stdout).toContain("USAGE");
    expect(stdout).not.toContain("ran");
  });
});
