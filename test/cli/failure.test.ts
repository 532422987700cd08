/** The line that says what to do about a failure. */
import { expect, test } from "bun:test";
import { hintOf } from "../../src/cli/failure.ts";
import { bounds } from "../../src/cli/settings/bounds.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";

const named = bounds.filter(({ limit }) => limit.endsWith("Max")).map(({ limit, flag }) => [limit, flag] as const);

// A queue that was full once advised to raise --items-max.
test.each(named)("hintOf() what %s refused names --%s", (limit, flag) => {
  const error = new EphemeralError("max_items", "no", { details: { [limit]: 1 } });
  expect(hintOf(error)).toBe(`The broker's bound is a flag of ephemeral start: --${flag}`);
});
