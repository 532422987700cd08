/**
 * What a command writes to its standard output, kept in memory: a descriptor to be inherited and all that was written there.
 * No pipe, whose end would wait for every process the command leaves behind, and where there is a choice no file, as it may
 * be a secret.
 */
import { ptr } from "bun:ffi";
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLibc } from "../broker/libc.ts";
import { EphemeralError } from "../protocol/errors.ts";

const closeOnExec = 1;

export class CapturedOutput implements Disposable {
  readonly descriptor: number;

  constructor() {
    this.descriptor = process.platform === "linux" ? memoryFile() : unnamedFile();
  }

  /** Everything written so far. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(fstatSync(this.descriptor).size);
    for (let at = 0; at < bytes.length; ) {
      const count = readSync(this.descriptor, bytes, at, bytes.length - at, at);
      if (count === 0) return bytes.subarray(0, at);
      at += count;
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    closeSync(this.descriptor);
  }
}

function memoryFile(): number {
  const { memfd_create } = openLibc({ memfd_create: { args: ["ptr", "u32"], returns: "i32" } });
  const descriptor = memfd_create(ptr(new TextEncoder().encode("ephemeral-once\0")), closeOnExec);
  if (descriptor >= 0) return descriptor;
  throw new EphemeralError("internal", "Cannot keep the command's output: the kernel gives no memory file");
}

/** A file that has no name any more (macOS; not tested by us). */
function unnamedFile(): number {
  const folder = mkdtempSync(join(tmpdir(), "ephemeral-once-"));
  try {
    return openSync(join(folder, "output"), "wx+", 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
