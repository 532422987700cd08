/**
 * Fences as text. They are too large for the runtime's fast way of writing numbers, so they are written in two halves; a
 * hundred thousand grants a second notice.
 */
const half = 1_000_000;

/** The decimal digits of a fence. */
export function fenceText(fence: number): string {
  const high = Math.floor(fence / half);
  // Seven digits, of which the first stands for the zeros that may follow.
  return `${high}${`${half + fence - high * half}`.slice(1)}`;
}
