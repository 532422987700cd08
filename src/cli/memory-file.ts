/**
 * What a command reads from its standard input or writes to its output, kept in memory: a descriptor to be inherited and all
 * that stands there. No pipe, whose end would wait for every process the command leaves behind, and where there is a choice
 * no file, as it may be a secret.
 */
import { ptr } from "bun:ffi";
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLibc } from "../broker/pipe/libc.ts";
import { EphemeralError } from "../protocol/errors.ts";

const closeOnExec = 1;

export class MemoryFile implements Disposable {
  readonly descriptor: number;

  /** Holds `content`, to be read from its beginning. */
  constructor(content = new Uint8Array()) {
    this.descriptor = process.platform === "linux" ? anonymousFile() : unnamedFile();
    for (let at = 0; at < content.length; ) at += writeSync(this.descriptor, content, at, content.length - at, at);
  }

  /** Everything that stands there. */
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

function anonymousFile(): number {
  const { memfd_create } = openLibc({ memfd_create: { args: ["ptr", "u32"], returns: "i32" } });
  const descriptor = memfd_create(ptr(new TextEncoder().encode("ephemeral\0")), closeOnExec);
  if (descriptor >= 0) return descriptor;
  throw new EphemeralError(
    "internal",
    "Cannot keep what the command reads and writes: the kernel gives no memory file",
  );
}

/** A file that has no name any more (macOS; not tested by us). */
function unnamedFile(): number {
  const folder = mkdtempSync(join(tmpdir(), "ephemeral-memory-"));
  try {
    return openSync(join(folder, "output"), "wx+", 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
