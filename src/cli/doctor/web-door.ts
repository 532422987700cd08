/**
 * The web door that EPHEMERAL_URL names, and the one a port file tells of: whether it answers, and whether it lets us in. Asks
 * it over HTTP, as its doors for WebSockets and for HTTP are one. Shows no token.
 */
import { readFileSync } from "node:fs";
import { EphemeralError } from "../../protocol/errors.ts";
import { findSecret } from "../settings/secret.ts";
import { type Sources, timeoutMsOf } from "../settings/settings.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const topic = "web door";

export async function webDoorFindings(sources: Sources): Promise<readonly Finding[]> {
  const { EPHEMERAL_URL: url, EPHEMERAL_PORT_FILE: path } = sources.environment;
  const atUrl = url === undefined ? [] : [await urlFinding(url, sources)];
  return path === undefined ? atUrl : [...atUrl, ...(await portFileFindings(path, sources))];
}

async function urlFinding(text: string, sources: Sources): Promise<Finding> {
  const url = httpUrlOf(text);
  if (url === undefined) {
    const wanted = "wanted an address such as ws://127.0.0.1:4711/ws";
    return fail(topic, `EPHEMERAL_URL cannot be dialled: ${wanted}`, "Correct EPHEMERAL_URL, or unset it");
  }
  const where = `${text} (EPHEMERAL_URL)`;
  const key = keyOf(sources);
  const status = await statusOf(new URL("/stats", url), sources, key);
  if (status === undefined) {
    const advice = "Its run may be over; unset EPHEMERAL_URL, or: ephemeral start --port 0 -- your-command";
    return fail(topic, `nothing answers at ${where}`, advice);
  }
  if (status === 200) return ok(topic, `${where} answers and lets us in`);
  if (status === 401) {
    const text = key === undefined ? "wants a token, and none is set" : "does not know our token";
    return fail(topic, `${where} ${text}`, "Set EPHEMERAL_TOKEN to its run's, or EPHEMERAL_SECRET where it has one");
  }
  if (status === 429) return fail(topic, `${where} has had too many wrong tokens from here`, "Wait for a minute");
  const advice = "See its flags in: ephemeral help start (--allow-host names those it answers to)";
  return fail(topic, `${where} refuses us with HTTP status ${status}`, advice);
}

/** What is left of a door that has gone misleads who reads it. */
async function portFileFindings(path: string, sources: Sources): Promise<readonly Finding[]> {
  const port = portIn(path);
  if (port === undefined) return [];
  const status = await statusOf(new URL(`http://127.0.0.1:${port}/healthz`), sources);
  if (status !== undefined) return [ok("port file", `at port ${port}, as ${path} has it, there is an answer`)];
  const text = `nothing answers at port ${port} of 127.0.0.1, which is in ${path} (EPHEMERAL_PORT_FILE)`;
  return [
    warn("port file", text, "Remove it, unless its broker listens at another --host; the next start writes it anew"),
  ];
}

function portIn(path: string): number | undefined {
  try {
    const port = Number(readFileSync(path, "utf8"));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
  } catch {
    return undefined;
  }
}

function httpUrlOf(text: string): URL | undefined {
  return /^wss?:\/\//.test(text) && URL.canParse(text) ? new URL(text.replace(/^ws/, "http")) : undefined;
}

/** What we would show at the door; a secret that cannot be read is told elsewhere. */
function keyOf(sources: Sources): string | undefined {
  try {
    return sources.environment.EPHEMERAL_TOKEN || findSecret(sources, "client");
  } catch (error) {
    if (error instanceof EphemeralError) return undefined;
    throw error;
  }
}

/** Undefined when there is no answer in time. */
async function statusOf(url: URL, sources: Sources, key?: string): Promise<number | undefined> {
  const headers = key === undefined ? {} : { Authorization: `Bearer ${key}` };
  try {
    const signal = AbortSignal.timeout(timeoutMsOf(sources));
    return (await fetch(url, { headers, signal, redirect: "manual" })).status;
  } catch {
    return undefined;
  }
}
