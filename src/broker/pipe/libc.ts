/**
 * The few calls of the C library that the runtime does not offer, opened once, when first needed.
 * Knows the library's name on each platform and nothing of what the calls are for.
 */
import { dlopen, type FFIFunction } from "bun:ffi";
import { EphemeralError } from "../../protocol/errors.ts";

const libraryNames =
  process.platform === "darwin"
    ? ["libSystem.B.dylib"]
    : ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`, "libc.so"];

/** Opens the C library with the functions named.
 *  @throws {EphemeralError} `internal` where no C library is found */
export function openLibc<Symbols extends Record<string, FFIFunction>>(symbols: Symbols) {
  for (const name of libraryNames) {
    try {
      return dlopen(name, symbols).symbols;
    } catch {
      // The next name may be this system's.
    }
  }
  throw new EphemeralError("internal", `Cannot open the C library: tried ${libraryNames.join(", ")}`);
}
