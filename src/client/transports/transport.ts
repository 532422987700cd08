/**
 * What a connection asks of the thing that carries its messages: a pipe or a WebSocket. One transport is one attempt: it
 * is opened once, and when it has closed it is done. Knows nothing of commands or reconnecting.
 */
import type { MessageHandler } from "../../protocol/codec.ts";

export interface TransportHandlers {
  /** Bytes may be sent from now on. */
  onOpen(): void;
  /** Something came. `read` hands on the messages it completes, one by one, and has to be called before this returns.
   *  @throws {EphemeralError} from `read`, as `MessageReader.read` does */
  onData(read: (onMessage: MessageHandler) => void): void;
  /** It could not open, or it is gone. Said once, never within a call of ours, and not after `close`. `isFinal`: an
   *  EphemeralError says why to stay away. */
  onClose(error: Error | undefined, isFinal?: boolean): void;
}

export interface Transport {
  /** The address as dialled: both sides' proofs name it. */
  readonly endpoint: string;
  /** Bytes taken by `send` that the kernel has not taken yet. */
  readonly unsentBytes: number;
  open(handlers: TransportHandlers): void;
  /** Takes all of `data`, in order. Only between `onOpen` and the end. */
  send(data: string | Uint8Array): void;
  /** Lets what was sent leave, then closes. Handlers are not called again. */
  close(): void;
  /** Whether an open transport keeps the process from ending. A new one does. */
  ref(): void;
  unref(): void;
}
