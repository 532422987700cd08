/**
 * Sessions in the log: begun, resumed, lingering, ended, and what they held then: all of it is free now, but for leases of
 * scope "ttl", which go on until their time is over. An anonymous session that held nothing is told at `debug` only: the
 * seed's clients make one for every request.
 */
import type { Engine, HeldBySession } from "../../engine/engine.ts";
import type { Session } from "../sessions/session.ts";
import type { Log, LogFields } from "./log.ts";

/** Names of held things in one event; what is past it is only counted. */
const namesMax = 20;

export class SessionLog {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  introduced(session: Session, isResumed: boolean): void {
    const { client, lingerMs } = session;
    const named = client === undefined ? undefined : `${client.name} ${client.version}`;
    const fields = { ...who(session), door: session.door, client: named, lingerMs };
    this.#log.info(isResumed ? "session resumed" : "session begun", fields);
  }

  lingering(session: Session): void {
    this.#log.info("session lingering", { ...who(session), lingerMs: session.lingerMs });
  }

  /** To be called before the engine frees what `session` holds. */
  ending(session: Session, { engine, nowMs }: { readonly engine: Engine; readonly nowMs: number }): void {
    const about = { ...who(session), durationMs: nowMs - session.startedAtMs };
    const holds = engine.holdsOf(session.id);
    if (holds instanceof Promise) void holds.then((held) => this.#ended(session, { about, held }));
    else this.#ended(session, { about, held: holds });
  }

  #ended(session: Session, { about, held }: { about: LogFields; held: readonly HeldBySession[] }): void {
    if (held.length === 0 && session.isAnonymous) this.#log.debug("session ended", about);
    else {
      const names = this.#log.isDebugging && held.length > 0 ? named(held) : undefined;
      this.#log.info("session ended", { ...about, held: counted(held), names });
    }
  }
}

function who({ id, label, peerPid }: Session): LogFields {
  return { session: id, label, pid: peerPid };
}

/** "2 lease, 1 once", or "nothing". */
function counted(held: readonly HeldBySession[]): string {
  const counts = new Map<string, number>();
  for (const { kind } of held) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ") || "nothing";
}

function named(held: readonly HeldBySession[]): string {
  const names = held.slice(0, namesMax).map(({ kind, id }) => `${kind} ${id}`);
  return [...names, ...(held.length > namesMax ? [`and ${held.length - namesMax} more`] : [])].join(", ");
}
