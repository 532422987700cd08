/**
 * The pipe: a unix socket in the broker's private directory, ours alone before a byte can arrive. Turns the runtime's socket
 * events into connections and checks whose process is at the other end. Knows nothing of frames or commands.
 */
import { ptr } from "bun:ffi";
import type { Socket as BunSocket, UnixSocketListener } from "bun";
import { KiB } from "../../protocol/sizes.ts";
import type { Connection } from "../connections/connection.ts";
import type { Socket } from "../connections/socket.ts";
import { openLibc } from "./libc.ts";

/** Who dialled, as the kernel tells it. */
export interface Peer {
  readonly pid: number | undefined;
}

export interface PipeListenerOptions {
  readonly pipe: string;
  /** Makes the connection of an admitted peer; undefined refuses it. */
  readonly connect: (socket: Socket, peer: Peer) => Connection | undefined;
}

interface SocketData {
  connection: Connection | undefined;
}

/** Sockets and files made while this is the umask are for the owner alone. */
const ownerOnly = 0o177;

/** Listens on `pipe`. The socket is 0600 from its first instant, whatever the umask was. */
export function listenOnPipe(options: PipeListenerOptions): { readonly stop: () => void } {
  const umaskBefore = process.umask(ownerOnly);
  let listener: UnixSocketListener<SocketData>;
  try {
    listener = Bun.listen<SocketData>({
      unix: options.pipe,
      // Who has closed its half still gets its answers.
      allowHalfOpen: true,
      socket: {
        open: (socket) => open(socket, options),
        data: (socket, chunk) => socket.data.connection?.receive(onDesk(chunk)),
        drain: (socket) => socket.data.connection?.drained(),
        end: (socket) => socket.data.connection?.peerEnded(),
        error: (socket) => socket.data.connection?.disconnected(),
        close: (socket) => socket.data.connection?.disconnected(),
      },
    });
  } finally {
    process.umask(umaskBefore);
  }
  return { stop: () => listener.stop(true) };
}

/** Where short chunks are worked off. Cutting a view out of a chunk has the runtime make a buffer of it first, which costs as
 *  much as reading a command; this one is there. */
const desk = new Uint8Array(4 * KiB);

function onDesk(chunk: Uint8Array): Uint8Array {
  if (chunk.length > desk.length) return chunk;
  desk.set(chunk);
  return desk.subarray(0, chunk.length);
}

function open(socket: BunSocket<SocketData>, options: PipeListenerOptions): void {
  socket.data = { connection: undefined };
  const credentials = peerCredentials(socket);
  if (credentials !== undefined && credentials.uid !== 0 && credentials.uid !== process.getuid?.()) {
    socket.terminate();
    return;
  }
  const connection = options.connect(
    {
      write: (data) => socket.write(data),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      end: () => socket.end(),
    },
    { pid: credentials?.pid },
  );
  if (connection === undefined) socket.end();
  else socket.data.connection = connection;
}

const solSocket = 1;
const soPeerCredentials = 17;
/** `struct ucred`: pid, uid, gid, four bytes each. */
const ucredBytes = 12;

const libc =
  process.platform === "linux"
    ? openLibc({ getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" } })
    : undefined;
const ucred = new Int32Array(ucredBytes / 4);
const ucredLength = new Uint32Array(1);

/** Process and user at the other end (Linux); undefined where the kernel is not asked. The directory's mode still guards. */
function peerCredentials(socket: BunSocket<SocketData>): { readonly pid: number; readonly uid: number } | undefined {
  // The runtime has the descriptor on its sockets but not in its types.
  const { fd } = socket as unknown as { readonly fd?: number };
  if (libc === undefined || fd === undefined || fd < 0) return undefined;
  ucredLength[0] = ucredBytes;
  if (libc.getsockopt(fd, solSocket, soPeerCredentials, ptr(ucred), ptr(ucredLength)) !== 0) return undefined;
  const [pid = 0, uid = -1] = ucred;
  return { pid, uid };
}
