/**
 * Units of size, and the one bound that both codecs keep by themselves. Apart from the table of bounds, which a client is
 * told by its broker and need not carry.
 */

export const KiB = 1024;
export const MiB = 1024 * KiB;

/** Values nest at most so deep; checked on bytes, before a parser can recurse. */
export const nestingMax = 64;
