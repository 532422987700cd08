/**
 * The file that says at which port our broker answers: there whole or not at all, and only while it does. Takes away nothing
 * that another broker has put there since.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { randomHex } from "../../broker/random-hex.ts";
import { HintedError } from "../failure.ts";
import { reasonOf } from "./say.ts";

const suffixBytes = 4;

export class PortFile {
  readonly path: string;
  /** What stands in it, but for its line feed. */
  readonly text: string;

  /** Nothing is written yet. */
  constructor(path: string, port: number) {
    this.path = path;
    this.text = String(port);
  }

  /** @throws {EphemeralError} `unavailable` */
  write(): void {
    const beside = `${this.path}.${randomHex(suffixBytes)}`;
    try {
      writeFileSync(beside, `${this.text}\n`, { flag: "wx" });
      renameSync(beside, this.path);
    } catch (error) {
      rmSync(beside, { force: true });
      const hint = `--port-file wants a path in a folder that is there and yours, got ${this.path}`;
      throw new HintedError("unavailable", `Cannot start broker: cannot write its port: ${reasonOf(error)}`, { hint });
    }
  }

  remove(): void {
    try {
      if (readFileSync(this.path, "utf8") === `${this.text}\n`) rmSync(this.path);
    } catch {
      // Somebody has removed it already.
    }
  }
}
