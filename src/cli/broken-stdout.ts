/**
 * Whether anybody can still read what goes to our stdout, and to that of commands that have it from us. Asked of the kernel:
 * the runtime tells only who writes.
 */
import { ptr } from "bun:ffi";
import { openLibc } from "../broker/pipe/libc.ts";

const stdout = 1;
const pollError = 8;

export function isStdoutBroken(): boolean {
  const { poll } = openLibc({ poll: { args: ["ptr", "u64", "i32"], returns: "i32" } });
  // A struct pollfd: the descriptor, what is asked for and, behind it, what is so; an error is told unasked.
  const asked = new Int16Array([stdout, 0, 0, 0]);
  return poll(ptr(asked), 1, 0) > 0 && ((asked[3] ?? 0) & pollError) !== 0;
}
