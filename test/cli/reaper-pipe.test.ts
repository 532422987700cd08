import { expect, test } from "bun:test";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ReaperPipe } from "../../src/cli/wrapper/reaper-pipe.ts";
import { temporaryDirectory } from "../support/broker.ts";

test("a pipe that is closed writes nothing more, whoever has its descriptor then", async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "a user's file");
  const pipe = new ReaperPipe();
  const told = pipe.tell("x".repeat(200_000));
  pipe.close();
  const descriptor = openSync(path, "w");
  expect(await told).toBe(false);
  await Bun.sleep(20); // several times as long as it waits for room
  expect(readFileSync(path, "utf8")).toBe("");
  closeSync(descriptor);
  closeSync(pipe.readEnd);
});
