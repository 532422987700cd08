/**
 * Runs executables made for musl on a glibc system: Debian has musl's loader, but the C++ library it has is glibc's. That one
 * is lent to the executable, with the few symbols it misses in musl made up by a small library of our own.
 */
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "./broker.ts";

const loader = "/lib/ld-musl-x86_64.so.1";
const lentFrom = "/usr/lib/x86_64-linux-gnu";
const lent = ["libstdc++.so.6", "libgcc_s.so.1"];
/** The library that glibc's name as their loader; nobody asks what it is. */
const madeUp = "ld-linux-x86-64.so.2";

/* No exception crosses these calls, and what is registered for the end of a thread is freed with the process. */
const source = `
extern long syscall(long, ...);
extern unsigned long strftime_l(char *, unsigned long, const char *, const void *, void *);
char __libc_single_threaded = 0;
unsigned int __cpu_model[4];
int __cpu_indicator_init(void) { return 0; }
unsigned int arc4random(void) { unsigned int value; syscall(318, &value, sizeof value, 0); return value; }
unsigned long __strftime_l(char *to, unsigned long size, const char *format, const void *time, void *locale) {
  return strftime_l(to, size, format, time, locale);
}
int __cxa_thread_atexit_impl(void (*end)(void *), void *object, void *library) { return 0; }
int _dl_find_object(void *address, void *result) { return -1; }
`;

/** Whether the tests with musl run: .ci/run demands them, elsewhere where there is what they need. */
export const isMuslTested =
  process.env.EPHEMERAL_TEST_REQUIRE === "all" ||
  (process.arch === "x64" && existsSync(loader) && Bun.which("gcc") !== null);

export interface MuslLibraries extends Disposable {
  /** For LD_LIBRARY_PATH. */
  readonly path: string;
}

export async function muslLibraries(): Promise<MuslLibraries> {
  const directory = temporaryDirectory();
  for (const name of lent) symlinkSync(join(lentFrom, name), join(directory.path, name));
  const compiling = Bun.spawn(
    ["gcc", "-shared", "-fPIC", "-nostdlib", "-x", "c", "-", "-o", join(directory.path, madeUp)],
    { stdin: Buffer.from(source), stdout: "inherit", stderr: "inherit" },
  );
  if ((await compiling.exited) !== 0) throw new Error("gcc cannot make the library");
  return { path: directory.path, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}
