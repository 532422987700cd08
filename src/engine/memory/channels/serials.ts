/**
 * What a session has published under which number, so that one said again after a cut is not published again. Remembers the
 * last of each session and refuses what is older: nobody could say any more whether it was published.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import type { Published } from "../../channels.ts";

interface SaidSerials {
  /** In the order they were said. */
  readonly answers: Map<number, Published>;
  /** The highest that is forgotten. */
  forgotten: number;
}

export class Serials {
  readonly #remembered: number;
  readonly #bySession = new Map<string, SaidSerials>();

  constructor({ serialsRemembered }: { readonly serialsRemembered: number }) {
    this.#remembered = serialsRemembered;
  }

  /** What `serial` was answered; undefined when it was never said.
   *  @throws {EphemeralError} `bad_command` for one older than those that are remembered */
  find(sessionId: string, serial: number): Published | undefined {
    const said = this.#bySession.get(sessionId);
    const answer = said?.answers.get(serial);
    if (answer !== undefined || said === undefined || serial > said.forgotten) return answer;
    const wanted = `a serial over ${said.forgotten}, which this session's last ${this.#remembered} are`;
    throw new EphemeralError("bad_command", `Cannot publish: wanted ${wanted}, got ${serial}`, {
      details: { field: "serial" },
    });
  }

  note(sessionId: string, { serial, answer }: { readonly serial: number; readonly answer: Published }): void {
    const said = this.#bySession.get(sessionId) ?? { answers: new Map(), forgotten: 0 };
    this.#bySession.set(sessionId, said);
    said.answers.set(serial, answer);
    if (said.answers.size <= this.#remembered) return;
    for (const oldest of said.answers.keys()) {
      said.answers.delete(oldest);
      said.forgotten = Math.max(said.forgotten, oldest);
      return;
    }
  }

  endSession(sessionId: string): void {
    this.#bySession.delete(sessionId);
  }

  clear(): void {
    this.#bySession.clear();
  }
}
