/**
 * What `using` and `await using` look for. Node 20 lacked these symbols before 20.5; a class needs some name for the methods
 * even there.
 */
export const disposeSymbol: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");
export const asyncDisposeSymbol: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");
