/** The error something refuses with, for tests that look at every part of it. Anything but our own errors goes on up. */
import { EphemeralError } from "../../src/protocol/errors.ts";

/** What `action` throws; fails when it throws nothing. */
export function refusal(action: () => unknown): EphemeralError {
  try {
    action();
  } catch (error) {
    if (error instanceof EphemeralError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
