/**
 * What is checked of a socket's path before it is dialled, whoever dials it: that it fits a socket address, and that the
 * socket is ours. Knows nothing of connections.
 */
import { lstatSync } from "node:fs";
import { EphemeralError } from "../client.ts";

/** What a socket address holds, less its closing zero. Node cuts longer paths silently and dials another file. */
const pathBytesMax = process.platform === "linux" ? 107 : 103;

/** @throws {EphemeralError} `bad_command` for a path too long, `forbidden` for a socket of another user (root excepted)
 *  @throws the file system's error, such as ENOENT, when there is no such file */
export function checkSocketPath(path: string): void {
  if (process.platform === "win32" || process.getuid === undefined) return;
  const bytes = Buffer.byteLength(path);
  if (bytes > pathBytesMax) {
    throw new EphemeralError(
      "bad_command",
      `Cannot connect to ${path}: a socket's path has at most ${pathBytesMax} bytes, this one has ${bytes}`,
    );
  }
  const owner = lstatSync(path).uid;
  const user = process.getuid();
  if (owner === user || owner === 0) return;
  throw new EphemeralError(
    "forbidden",
    `Cannot connect to ${path}: it should belong to this user (uid ${user}) or to root, it belongs to uid ${owner}`,
  );
}
