/**
 * What the program is built for, and how it is handed out there. Intel Macs are not among it: what Bun 1.4.5 compiles for
 * them has a signature that macOS refuses. Nor are FreeBSD and Android: Bun compiles for them, nobody has tried ours there.
 */

export interface Target {
  /** In the archive's name. */
  readonly name: string;
  /** What Bun calls it. Its x64 runtimes are the baseline ones, byte for byte: any x64 processor will do. */
  readonly bunTarget: Bun.Build.CompileTarget;
  readonly executable: "ephemeral" | "ephemeral.exe";
  readonly archive: "tar.gz" | "zip";
}

export const releaseTargets: readonly Target[] = [
  unix("linux-x64", "bun-linux-x64"),
  unix("linux-x64-musl", "bun-linux-x64-musl"),
  unix("linux-arm64", "bun-linux-arm64"),
  unix("linux-arm64-musl", "bun-linux-arm64-musl"),
  unix("darwin-arm64", "bun-darwin-arm64"),
  windows("windows-x64", "bun-windows-x64"),
  windows("windows-arm64", "bun-windows-arm64"),
];

function unix(name: string, bunTarget: Target["bunTarget"]): Target {
  return { name, bunTarget, executable: "ephemeral", archive: "tar.gz" };
}

function windows(name: string, bunTarget: Target["bunTarget"]): Target {
  return { name, bunTarget, executable: "ephemeral.exe", archive: "zip" };
}
