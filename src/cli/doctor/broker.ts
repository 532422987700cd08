/**
 * The broker that is meant, if any: whether its socket is there, ours and answered, how fast, and whether it is of our version
 * and lets us in. Asks it twice and changes nothing.
 */
import { lstatSync } from "node:fs";
import { brokerVersion } from "../../broker/version.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import { connectionTo } from "../call.ts";
import { HintedError, howToStart } from "../failure.ts";
import { type ClientSettings, clientSettings, type Sources } from "../settings/settings.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const topic = "pipe";
/** Ten times what a busy machine takes. */
const slowMs = 20;

export async function brokerFindings(sources: Sources): Promise<readonly Finding[]> {
  const { EPHEMERAL_PIPE } = sources.environment;
  const { pipe, name } = sources.flags;
  if (pipe === undefined && name === undefined && EPHEMERAL_PIPE === undefined) {
    return [ok(topic, "EPHEMERAL_PIPE is not set: there is no run here to look at")];
  }
  let settings: ClientSettings;
  try {
    settings = clientSettings(sources.flags, sources.environment);
  } catch (error) {
    if (!(error instanceof EphemeralError)) throw error;
    return EPHEMERAL_PIPE === "" ? [fail(topic, error.message, "Unset EPHEMERAL_PIPE outside a run")] : [];
  }
  const wrong = socketFinding(settings);
  return wrong === undefined ? await answerFindings(settings) : [wrong];
}

/** What is wrong with the socket's file; undefined when it may be dialled. */
function socketFinding({ pipe, pipeFrom }: ClientSettings): Finding | undefined {
  const there = lstatSync(pipe, { throwIfNoEntry: false });
  if (there === undefined)
    return fail(topic, `nothing is at ${pipe} (${pipeFrom}): its run is over`, overAdvice(pipeFrom));
  if (!there.isSocket()) return fail(topic, `${pipe} (${pipeFrom}) is no socket`, `Correct ${pipeFrom}`);
  const user = process.getuid?.();
  if (user !== undefined && there.uid !== user && there.uid !== 0) {
    const text = `${pipe} (${pipeFrom}) belongs to uid ${there.uid}, not to us`;
    return fail(topic, text, "Run as the user who started the broker: it talks to nobody else");
  }
  if ((there.mode & 0o077) === 0) return undefined;
  const mode = (there.mode & 0o777).toString(8);
  return fail(
    topic,
    `${pipe} (${pipeFrom}) is open to others: its mode is ${mode}`,
    `Make it private: chmod 600 ${pipe}`,
  );
}

function overAdvice(pipeFrom: string): string {
  return pipeFrom === "EPHEMERAL_PIPE"
    ? `Unset EPHEMERAL_PIPE, or: ${howToStart}`
    : "See which brokers run: ephemeral ls";
}

async function answerFindings(settings: ClientSettings): Promise<readonly Finding[]> {
  const { pipe, pipeFrom, secret } = settings;
  const { connection, absence, greeting } = connectionTo(settings);
  const ping = (): Promise<unknown> =>
    Promise.race([connection.call({ command: { action: "ping" }, read: (reply) => reply }), absence]);
  try {
    await ping();
    const askedAtMs = performance.now();
    await ping();
    const tookMs = performance.now() - askedAtMs;
    const text = `the broker at ${pipe} (${pipeFrom}) answers in ${tookMs.toFixed(2)} ms`;
    const answered =
      tookMs < slowMs
        ? ok(topic, text)
        : warn(topic, text, "See what it does: ephemeral stats; or the machine is busy");
    return [
      answered,
      versionFinding(greeting()?.broker.version),
      ok("access", secret === undefined ? "without a secret" : "it knows our secret"),
    ];
  } catch (error) {
    if (!(error instanceof EphemeralError)) throw error;
    return [refusal(error, settings)];
  } finally {
    connection.close();
  }
}

function refusal(error: EphemeralError, { pipe, pipeFrom, secret, timeoutMs }: ClientSettings): Finding {
  const where = `the broker at ${pipe} (${pipeFrom})`;
  if (error.code === "auth_failed") {
    const advice = "Set EPHEMERAL_SECRET to what it was started with";
    return secret === undefined
      ? fail("access", `${where} has a secret, and we have none`, advice)
      : fail("access", `${where} does not know our secret`, `${advice}, or unset it if that was none`);
  }
  // The hint comes with what nobody listens at; a broker that keeps silent is another matter.
  if (error instanceof HintedError) {
    return fail(topic, `nobody listens at ${pipe} (${pipeFrom}): its broker was killed`, overAdvice(pipeFrom));
  }
  if (error.code === "unavailable" || error.code === "timeout") {
    const text = `${where} does not answer within ${timeoutMs} ms`;
    return fail(topic, text, "It is stopped or stuck; end it by its pid: ephemeral ls");
  }
  return fail(topic, `${where} refuses us: ${error.message}`, "See: ephemeral ps, ephemeral limits");
}

function versionFinding(version: string | undefined): Finding {
  if (version === brokerVersion) return ok("broker version", `${version}, as ours`);
  const text = `${version ?? "unknown"}, ours is ${brokerVersion}`;
  return warn("broker version", text, "Start runs and their clients with the same version");
}
