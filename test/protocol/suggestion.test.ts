/**
 * "Did you mean": near misses find their word, others find nothing.
 */
import { expect, test } from "bun:test";
import { suggestionFor } from "../../src/protocol/suggestion.ts";

const flags = ["--wait", "--pipe", "--secret", "--timeout", "--json", "--items-max"];

test.each([
  ["--wat", "--wait"],
  ["--wiat", "--wait"],
  ["--secert", "--secret"],
  ["--time-out", "--timeout"],
  ["--itemsMax", "--items-max"],
  ["--max-items", undefined],
  ["--bail", undefined],
  ["-x", undefined],
])("suggestionFor(%p) is %p", (word, meant) => {
  expect(suggestionFor(word, flags)).toBe(meant);
});

test("suggestionFor() takes the first of equals", () => {
  expect(suggestionFor("sat", ["set", "sit"])).toBe("set");
});

test("suggestionFor() finds nothing among nothing", () => {
  expect(suggestionFor("get", [])).toBeUndefined();
});
