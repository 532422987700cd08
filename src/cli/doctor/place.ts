/**
 * Where this user's brokers have their directories: which folder the environment comes to, whether a broker can be started
 * in it, and what others left there. Removes nothing.
 */
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { pipeOfName } from "../../broker/broker-name.ts";
import { claimedDirectories, leftoversIn, pipeBytesMax, wrongWith } from "../../broker/pipe/run-directory.ts";
import { runRootOf } from "../settings/run-root.ts";
import type { Environment } from "../settings/settings.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

export function placeFindings(environment: Environment): readonly Finding[] {
  const root = runRootOf(environment);
  return [...variableFindings(environment, root), rootFinding(root), lengthFinding(root), ...contentFindings(root)];
}

/** Variables that name a folder which is not taken. */
function variableFindings(environment: Environment, root: string): Finding[] {
  const { XDG_RUNTIME_DIR: runtime, TMPDIR: temporary } = environment;
  const findings: Finding[] = [];
  if (runtime !== undefined && !root.startsWith(`${runtime.replace(/\/+$/, "")}/`)) {
    const text = `XDG_RUNTIME_DIR (${runtime}) is passed over: it is no folder of yours; brokers go to ${root}`;
    const advice =
      "Point XDG_RUNTIME_DIR to a folder of yours, or unset it; processes with another value find no names";
    findings.push(warn("XDG_RUNTIME_DIR", text, advice));
  }
  if (temporary !== undefined && !temporary.startsWith("/")) {
    const text = `TMPDIR (${temporary}) is passed over: it does not begin with a slash`;
    findings.push(warn("TMPDIR", text, "Set TMPDIR to an absolute path, or unset it"));
  }
  return findings;
}

const topic = "run root";

function rootFinding(root: string): Finding {
  const elsewhere = "Set XDG_RUNTIME_DIR or TMPDIR to a folder of yours";
  if (statSync(root, { throwIfNoEntry: false }) === undefined && wrongWith(root) === undefined) {
    const parent = dirname(root);
    const obstacle = obstacleIn(parent);
    if (obstacle === undefined) return ok(topic, `${root} is not there; the first broker makes it`);
    return fail(topic, `${root} is not there and cannot be made: ${parent} ${obstacle}`, elsewhere);
  }
  const wrong = wrongWith(root);
  if (wrong === undefined) return ok(topic, `${root} is yours alone`);
  const advice = wrong.startsWith("its mode") ? `Make it private: chmod 700 ${root}` : `Remove it, or: ${elsewhere}`;
  return fail(topic, `${root} is not safe to use: ${wrong}`, advice);
}

function obstacleIn(folder: string): string | undefined {
  try {
    if (!statSync(folder).isDirectory()) return "is no folder";
    accessSync(folder, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : error;
    return code === "ENOENT" ? "is not there" : `cannot be written (${code})`;
  }
}

/** Names that brokers get by chance have 12 characters, those that people give at most 32. */
const chanceNameLength = 12;
const nameLengthMax = 32;

function lengthFinding(root: string): Finding {
  const fits = pipeBytesMax - Buffer.byteLength(pipeOfName(root, ""));
  const advice = "Set XDG_RUNTIME_DIR or TMPDIR to a shorter path";
  const text = `sockets have room for names of ${Math.max(0, fits)} characters (a path has at most ${pipeBytesMax} bytes)`;
  if (fits < chanceNameLength) return fail("path length", `${text}: no broker fits into ${root}`, advice);
  if (fits < nameLengthMax) return warn("path length", text, `${advice}, or keep names short`);
  return ok("path length", "sockets have room for every name");
}

function contentFindings(root: string): Finding[] {
  if (wrongWith(root) !== undefined) return [];
  const living = claimedDirectories(root).length;
  const brokers = living === 1 ? "1 broker of yours is" : `${living} brokers of yours are`;
  const leftovers = leftoversIn(root);
  const swept = leftovers.filter(({ isSwept }) => isSwept).map(({ name }) => name);
  const staying = leftovers.filter(({ isSwept }) => !isSwept).map(({ name }) => name);
  const findings = [ok("brokers", `${brokers} running${living === 0 ? "" : "; see: ephemeral ls"}`)];
  if (swept.length > 0) {
    findings.push(ok("leftovers", `${listed(swept)} of brokers that were killed: the next start or ls removes them`));
  }
  if (staying.length > 0) {
    const text = `${listed(staying)} in ${root}: not made by a broker alone, so nothing removes them`;
    findings.push(warn("leftovers", text, "Look what they are, and remove them"));
  }
  return findings;
}

const shownMax = 5;

function listed(names: readonly string[]): string {
  const more = names.length > shownMax ? ` and ${names.length - shownMax} more` : "";
  return `${names.slice(0, shownMax).join(", ")}${more}`;
}
