/**
 * `ephemeral limits`, and the log it shares `start`'s flags with, from the source and from the executable: whose bounds they
 * are, and that every line of the table is true.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bounds } from "../../src/cli/settings/bounds.ts";
import { closeCodes, finalCodes, retryableCodes } from "../../src/protocol/errors.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { testBroker } from "../support/broker.ts";
import { invoke } from "../support/invocation.ts";
import { programs } from "../support/programs.ts";
import { Trial } from "../support/trial.ts";

const both = await programs();

interface Told {
  readonly source: string;
  readonly limits: readonly { readonly name: string; readonly value: number; readonly default: number }[];
}

const changed = ({ limits }: Told): Record<string, number> =>
  Object.fromEntries(limits.filter((limit) => limit.value !== limit.default).map(({ name, value }) => [name, value]));

describe.each(both.map((program) => [program.name, program] as const))("ephemeral limits (%s)", (_name, program) => {
  const asked = async (environment: Record<string, string>, ...args: string[]): Promise<Told> => {
    const { status, stdout, stderr } = await invoke(program, { args: ["limits", "--json", ...args], environment });
    expect([status, stderr]).toEqual([0, ""]);
    return JSON.parse(stdout);
  };

  test("tells those of the broker that runs, whatever its variables were", async () => {
    await using broker = await testBroker({ limits: { itemsMax: 77, stallMs: 1500 } });
    const environment = { EPHEMERAL_PIPE: broker.pipe, EPHEMERAL_ITEMS_MAX: "5" };
    const told = await asked(environment);
    expect([told.source, changed(told)]).toEqual(["broker", { itemsMax: 77, stallMs: 1500 }]);
    const byFlag = await asked({}, "--pipe", broker.pipe);
    expect([byFlag.source, changed(byFlag)]).toEqual(["broker", { itemsMax: 77, stallMs: 1500 }]);
  });

  test("tells those of a broker with a secret to who knows it, and to nobody else", async () => {
    await using broker = await testBroker({ secret: "s", limits: { itemsMax: 77 } });
    const environment = { EPHEMERAL_PIPE: broker.pipe };
    expect(changed(await asked({ ...environment, EPHEMERAL_SECRET: "s" }))).toEqual({ itemsMax: 77 });
    expect(await invoke(program, { args: ["limits"], environment })).toMatchObject({ status: 77, stdout: "" });
  });

  test("without a broker tells what one started here would have", async () => {
    const told = await asked({ BROKER_MAX_ITEMS: "5", EPHEMERAL_STALL_MS: "3s" });
    expect([told.source, changed(told)]).toEqual(["settings", { itemsMax: 5, stallMs: 3000 }]);
    const refused = await invoke(program, { args: ["limits"], environment: { BROKER_MAX_ITEMS: "ten" } });
    expect(refused).toMatchObject({ status: 64, stdout: "" });
  });

  test("a broker that is named and not there is no reason to guess", async () => {
    const environment = { EPHEMERAL_PIPE: "/nowhere/sock" };
    expect(await invoke(program, { args: ["limits"], environment })).toMatchObject({ status: 69, stdout: "" });
  });

  test("has a line for every bound, exactly as its flag takes it", async () => {
    const environment = {
      EPHEMERAL_VALUE_BYTES_MAX: "1000",
      EPHEMERAL_TTL_MS_MAX: "90500ms",
      EPHEMERAL_DEFAULT_TTL: "1s",
    };
    const { stdout } = await invoke(program, { args: ["limits"], environment });
    const [header, ...lines] = stdout.trimEnd().split("\n");
    expect(header).toMatch(/^BOUND +VALUE +DEFAULT +FLAG OF START +VARIABLE +PAST IT$/);
    const rows = lines.map((line) => line.split(/ {2,}/));
    const set = new Map([
      ["valueBytesMax", "1000B"],
      ["ttlMsMax", "90500ms"],
    ]);
    expect(rows.map(([name, value, standard, flag]) => [name, value, standard, flag])).toEqual(
      bounds.map(({ limit, flag, standard }) => [limit, set.get(limit) ?? standard, standard, `--${flag}`]),
    );
    expect(stdout).toContain("EPHEMERAL_ITEMS_MAX, BROKER_MAX_ITEMS");
    expect(rows.find(([name]) => name === "frameBytesMax")?.at(-1)).toBe("too_large, closed (3501)");
  });

  test("a log is written from here too", async () => {
    await using trial = new Trial(program, {
      args: ["start", "--log-format", "json", "--log-file", "log", "--", "sh", "-c", "exit 3"],
    });
    expect(await trial.ending()).toEqual({ status: 3, killed: false });
    const lines = readFileSync(join(trial.directory, "log"), "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).message)).toEqual([
      "broker started",
      "broker draining",
      "broker stopped",
    ]);
    await trial.closedStreams();
    expect(trial.stderr).toBe("");
  });
});

test("what going past a bound leads to has a name the protocol knows", () => {
  const errors: readonly string[] = [...finalCodes, ...retryableCodes];
  for (const { limit, breach } of bounds) {
    expect([limit, breach.error === undefined || errors.includes(breach.error)]).toEqual([limit, true]);
    const codes: readonly number[] = Object.values(closeCodes);
    expect([limit, breach.closeCode === undefined || codes.includes(breach.closeCode)]).toEqual([limit, true]);
  }
  expect(bounds.map(({ limit }) => limit as string)).toEqual(Object.keys(defaultLimits));
});
