/**
 * The style guide, enforced: every rule over every file of ours, and for every rule a snippet it must refuse and one it
 * must let pass, so that no rule can stop working unseen.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { SourceFile } from "./support/source-file.ts";
import { complaintsAbout, type RuleName, rules } from "./support/tidy-rules.ts";

const root = join(import.meta.dir, "..");

/** Top-level folders and files that are not ours to judge. */
const foreign = new Set([".git", "node_modules", "dist", "package-lock.json"]);

const files = readdirSync(root, { withFileTypes: true })
  .filter((entry) => !foreign.has(entry.name))
  .flatMap((entry) =>
    entry.isDirectory()
      ? [...new Bun.Glob("**/*").scanSync({ cwd: join(root, entry.name), dot: true })]
          .filter((path) => !path.includes("node_modules/"))
          .map((path) => `${entry.name}/${path}`)
      : [entry.name],
  )
  .sort();
const sources = files.filter((path) => /^(?:src|test|examples)\/.*\.ts$/.test(path));

const head = "/**\n * Owns this and that, and their life.\n * Knows nothing of any other.\n */\n";
const lines = (count: number): string => "  step();\n".repeat(count);
const longRoot = `/${"root"}/.config`;

interface Case {
  /** Where the snippet pretends to be. */
  readonly path: string;
  readonly refused: readonly string[];
  readonly passed: readonly string[];
}

const cases: Record<RuleName, Case> = {
  layersPointOneWay: {
    path: "src/protocol/a.ts",
    refused: [
      'import "../engine/engine.ts";',
      'import type { Engine } from "../engine/engine.ts";',
      'export type { Engine } from "../engine/engine.ts";',
      'type Engine = import("../engine/engine.ts").Engine;',
      'const net = await import("node:net");',
      'import { serve } from "bun";',
      'import { x } from "../../test/x.ts";',
    ],
    passed: ['import { x } from "./limits.ts";', '// import "node:net";', 'const text = `import "node:net"`;'],
  },
  engineIsExchangeable: {
    path: "src/broker/a.ts",
    refused: [
      'import { Grants } from "../engine/memory/grants.ts";',
      'import type { MemoryEngine } from "../engine/memory/memory-engine.ts";',
    ],
    passed: [
      'import type { Engine } from "../engine/engine.ts";',
      'import { OwnerIndex } from "../engine/owner-index.ts";',
    ],
  },
  opensWithComment: {
    path: "src/engine/a.ts",
    refused: [
      "const a = 1;",
      "// one\nconst a = 1;",
      "/** One line. */\n",
      `/**\n${" * of this and that\n".repeat(7)} */\n`,
    ],
    passed: [
      head,
      `#!/usr/bin/env bun\n${head}`,
      "/** Owns this and that, and their life; knows nothing of any other. */",
      `/**\n${" * of this and that\n".repeat(6)} *\n */\n`,
    ],
  },
  filesAreShort: { path: "src/engine/a.ts", refused: [lines(301)], passed: [lines(300)] },
  functionsAreShort: {
    path: "src/engine/a.ts",
    refused: [
      `function a() {\n${lines(68)}}`,
      `const a = (b: string): void => {\n${lines(68)}};`,
      `class A {\n  a(b: { c: string }): { d: string } {\n${lines(68)}  }\n}`,
      `class A {\n  get a(): number {\n    const text = \`\${"}"}\`;\n${lines(68)}  }\n}`,
      `function a(\n  b: string,\n  c: string,\n): void {\n${lines(65)}}`,
    ],
    passed: [
      `function a() {\n${lines(67)}}`,
      `class A {\n  a(): void {\n${lines(40)}  }\n  b(): void {\n${lines(40)}  }\n}`,
      `class A extends B implements C {\n${"  readonly a = 1;\n".repeat(90)}}`,
      `const table = {\n${"  a: 1,\n".repeat(90)}} as const;`,
      `export interface A {\n${"  a: 1;\n".repeat(90)}}`,
      `type A = {\n${"  a: { b: 1 };\n".repeat(90)}};`,
    ],
  },
  noDefaultExports: {
    path: "src/engine/a.ts",
    refused: ["export default 1;", "export default class A {}", "const a = 1;\nexport { a as default };"],
    passed: ["export const a = 1;", "switch (a) {\n  default:\n}", '"export default"'],
  },
  noBarrels: {
    path: "src/engine/index.ts",
    refused: [
      'export { a } from "./a.ts";',
      'export type { A } from "./a.ts";\nexport { b } from "./b.ts";',
      'export const a = 1;\nexport * from "./b.ts";',
    ],
    passed: ['export { a } from "./a.ts";\nexport const b = 1;'],
  },
  namesSayWhat: {
    path: "src/engine/a.ts",
    refused: ["class SessionManager {}", "function handleData() {}", "function start(opts: Options) {}"],
    passed: ["class Session {}", "// a Manager", "function manage() {}"],
  },
  importsNameTheFile: {
    path: "src/engine/a.ts",
    refused: ['import { b } from "./b";', 'const b = await import("../b/c");', 'export type { B } from "./b";'],
    passed: ['import { b } from "./b.ts";', 'import data from "../package.json";', 'import { c } from "node:fs";'],
  },
  exitAndArgvInCommandLine: {
    path: "src/broker/a.ts",
    refused: [
      "process.exit(1);",
      "const [a] = process.argv;",
      "process.exitCode = 1;",
      'import { exit } from "node:process";',
    ],
    passed: ["process.memoryUsage();", "// process.exit(1)", "child.exit(1);"],
  },
  environmentHasThreeReaders: {
    path: "src/cli/wrapper/start.ts",
    refused: ["const a = process.env.HOME;", "const a = { ...Bun.env };", "import.meta.env.A;"],
    passed: ["const a = settings.environment;", '"process.env"'],
  },
  timeAndChanceAreHandedIn: {
    path: "src/engine/a.ts",
    refused: [
      "const a = Date.now();",
      "const a = Math.random();",
      "const a = new Date();",
      "const a = performance.now();",
    ],
    passed: ["const a = clock.nowMs();", "const a = new Date(atMs);"],
  },
  noAny: {
    path: "test/a.test.ts",
    refused: ["const a: any = 1;", "const a = b as any;", "const a: Map<string, any> = c;", "const a: any[] = [];"],
    passed: ["const any = 1;", "// any", "expect.any(String)", "const a: unknown = 1;", "const a = b ? c : any();"],
  },
  noSilencedCompiler: {
    path: "src/a/a.ts",
    refused: [`// @ts-${"ignore"}`, `// @ts-${"expect-error"} why`, `// @ts-${"nocheck"}`],
    passed: ["// the compiler is right"],
  },
  noPostponedWork: {
    path: "src/engine/a.ts",
    refused: [`// TO${"DO"}: later`, `/* FIX${"ME"} */`],
    passed: ["// todo lists are a fine example"],
  },
  noHalfRunSuites: {
    path: "test/a.test.ts",
    refused: ['test.only("a", () => {});', 'describe.only("a", () => {});', 'test.todo("a");'],
    passed: ['test("a", () => {});'],
  },
  privateMeansPrivate: {
    path: "src/engine/a.ts",
    refused: ["class A {\n  private readonly a = 1;\n}", "class A {\n  public a(): void {}\n}"],
    passed: ["class A {\n  readonly #a = 1;\n  private constructor() {}\n}", "/** A private folder. */"],
  },
  secretsAreComparedInConstantTime: {
    path: "src/broker/a.ts",
    refused: [
      "if (proof === wanted) accept();",
      "if (message.hmac !== expected) refuse();",
      "return expected == this.#secret;",
      "if (auth.nonce !== connection.nonce) refuse();",
      'if (sessionToken === "fixed") accept();',
      "if (claimed === message.signature) accept();",
      "if (proof.equals(wanted)) accept();",
      "if (wanted.equals(proof)) accept();",
      "if (Bun.deepEquals(wanted, this.#proof)) accept();",
      "if (Object.is(claimed.secret, wanted)) accept();",
      "if (secret.startsWith(claimed)) accept();",
      "if (tokens.includes(token)) accept();",
      "if (this.#known.has(request.token)) accept();",
      "if (Buffer.compare(expected, auth.proof) !== 1) accept();",
      'if (createHmac("sha256", key).update(text).digest("hex") === claimed) accept();',
      "if (claimed !== hmac.digest()) refuse();",
      "switch (secret) {}",
    ],
    passed: [
      "if (secret === undefined) accept();",
      'if (options.secret === "") refuse();',
      'if (typeof token === "string") read();',
      "if (secret.length === 32) read();",
      "if (timingSafeEqual(proof, wanted)) accept();",
      "if (isSameText(proof, wanted)) accept();",
      "if (line.equals(marker)) cut();",
      "if (names.includes(name)) accept();",
      "switch (kind) {}",
    ],
  },
  noMachinePaths: {
    path: "README.md",
    refused: [longRoot, `see ${longRoot}`, `"/${"work"}/main/src"`],
    passed: [`src/${"work"}/main`, "https://example.org/root/a", "~/root/a"],
  },
};

describe("tidy", () => {
  test("looks at the files there are", () => {
    expect(sources).toContain("src/engine/engine.ts");
    expect(sources).toContain("test/tidy.test.ts");
    expect(files).toContain("package.json");
  });

  test.each(Object.keys(rules) as RuleName[])("%s refuses what breaks it and passes what does not", (name) => {
    const { path, refused, passed } = cases[name];
    const complains = (text: string): boolean => rules[name](new SourceFile(path, text)).length > 0;
    expect(refused.filter((text) => !complains(text))).toEqual([]);
    expect(passed.filter(complains)).toEqual([]);
  });

  test.each(["src/utils.ts", "src/engine/helpers.ts", "test/support/util/a.ts"])("refuses the file name %s", (path) => {
    expect(rules.namesSayWhat(new SourceFile(path, ""))).toEqual(["a file name that says nothing"]);
  });

  test("reads every file to its end: the braces of its code balance", async () => {
    for (const path of sources) {
      const { code } = new SourceFile(path, await Bun.file(join(root, path)).text());
      const opened = code.split("{").length;
      expect({ path, braces: code.split("}").length }).toEqual({ path, braces: opened });
    }
  });

  test("sees every import the transpiler sees", async () => {
    const transpiler = new Bun.Transpiler({ loader: "ts" });
    for (const path of sources) {
      const text = await Bun.file(join(root, path)).text();
      const seen = transpiler.scan(text).imports.map((imported) => imported.path);
      expect(new SourceFile(path, text).imports).toEqual(expect.arrayContaining(seen));
    }
  });

  test.each(sources)("%s keeps the style guide", async (path) => {
    expect(complaintsAbout(path, await Bun.file(join(root, path)).text())).toEqual([]);
  });

  test("no tracked file names a path of one machine", async () => {
    for (const path of files.filter((path) => !sources.includes(path))) {
      const text = await Bun.file(join(root, path)).text();
      expect(rules.noMachinePaths(new SourceFile(path, text))).toEqual([]);
    }
  });
});
