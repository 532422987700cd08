/**
 * What the doctor says of one thing: how it is, in a line, and what to do about it. No finding holds a secret.
 */

/** `fail` keeps brokers or clients from working; `warn` may surprise somebody. */
export type Level = "ok" | "warn" | "fail";

export interface Finding {
  /** What was looked at, in a word or two. */
  readonly topic: string;
  readonly level: Level;
  readonly text: string;
  /** What to do; there for all that is not ok. */
  readonly advice?: string;
}

export function ok(topic: string, text: string): Finding {
  return { topic, level: "ok", text };
}

export function warn(topic: string, text: string, advice: string): Finding {
  return { topic, level: "warn", text, advice };
}

export function fail(topic: string, text: string, advice: string): Finding {
  return { topic, level: "fail", text, advice };
}
