/**
 * One command that came by plain HTTP, run as any other: through a connection of its own with a session of its own, which ends
 * with the answer. So nothing of commands, gates, bounds and counts is written twice. Knows no HTTP.
 */
import type { CommandName } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import { LineDecoder } from "../../protocol/line-decoder.ts";
import { codecs } from "../connections/codecs.ts";
import type { Connections } from "../connections/connections.ts";
import type { Socket } from "../connections/socket.ts";
import { openGate } from "../gates/gate.ts";

export interface HttpCommand {
  readonly action: CommandName;
  /** What stands beside the action, checked by nobody yet. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Runs `command` and resolves to its reply, or its refusal, as JSON text. Its caller has been let in already.
 *  @throws {EphemeralError} `unavailable` when the broker ends meanwhile */
export async function exchange(
  { action, fields }: HttpCommand,
  { connections, frameBytesMax }: { readonly connections: Connections; readonly frameBytesMax: number },
): Promise<string> {
  const socket = new AnswerSocket();
  const wire = { decoder: new LineDecoder(frameBytesMax), codec: codecs.json };
  const connection = connections.open(socket, { door: "web", pid: undefined, wire, gate: openGate });
  connection?.receive(Buffer.from(`${JSON.stringify({ ...fields, id: undefined, action })}\n`));
  try {
    return await socket.answer;
  } finally {
    connection?.disconnected();
  }
}

/** Where the one answer is written to. */
class AnswerSocket implements Socket {
  readonly #answer = Promise.withResolvers<string>();
  readonly answer = this.#answer.promise;

  write(data: string | Uint8Array): number {
    this.#answer.resolve(data.toString());
    return Buffer.byteLength(data);
  }

  /** There is nothing more to read anyway. */
  pause(): void {}

  resume(): void {}

  end(): void {
    this.#answer.reject(new EphemeralError("unavailable", "Cannot answer request: the broker ends"));
  }
}
