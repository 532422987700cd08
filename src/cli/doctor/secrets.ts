/**
 * Where secrets come from for a broker that is started here and for clients, and whether the two are the same one. Says which
 * variable or file, never what is in it.
 */
import { isSameText } from "../../broker/gates/auth.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import { hintOf } from "../failure.ts";
import { findSecret, secretVariables } from "../settings/secret.ts";
import type { Sources } from "../settings/settings.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const topic = "secret";

export function secretFindings(sources: Sources): readonly Finding[] {
  const findings: Finding[] = [];
  const secretOf = (side: keyof typeof secretVariables): string | undefined => {
    try {
      return findSecret(sources, side);
    } catch (error) {
      if (!(error instanceof EphemeralError)) throw error;
      const isNew = findings.every(({ text }) => text !== error.message);
      if (isNew) findings.push(fail(topic, error.message, hintOf(error)));
      return undefined;
    }
  };
  const [broker, client] = [secretOf("broker"), secretOf("client")];
  if (findings.length > 0) return findings;
  if (broker === undefined && client === undefined) return [ok(topic, "none is set")];
  const [brokers, clients] = [sourceOf(sources, "broker"), sourceOf(sources, "client")];
  if (broker === undefined || client === undefined) {
    const [has, lacks] =
      broker === undefined
        ? [`clients have one (${clients})`, "a broker started here has none"]
        : [`a broker started here has one (${brokers})`, "clients outside its run have none"];
    return [warn(topic, `${has}, ${lacks}`, "Set EPHEMERAL_SECRET: both read it")];
  }
  if (!isSameText(client, broker)) {
    const text = `clients have another one (${clients}) than a broker started here (${brokers})`;
    return [warn(topic, text, `Make them the same, or unset ${clients} for one broker's clients`)];
  }
  return [ok(topic, clients === brokers ? `set: ${clients}` : `set: ${clients} and ${brokers}, alike`)];
}

function sourceOf({ flags, environment }: Sources, side: keyof typeof secretVariables): string {
  const flag = ["secret", "secret-file"].find((name) => typeof flags[name] === "string");
  if (flag !== undefined) return `--${flag}`;
  return secretVariables[side].find((name) => environment[name] !== undefined) ?? "";
}
