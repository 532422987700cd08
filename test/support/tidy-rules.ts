/**
 * The style guide as rules: each takes one file and says what breaks it. Everything a person would otherwise have to
 * remember in a review. Knows nothing of the file system; `tidy.test.ts` feeds it and shows that each rule can fail.
 */
import { SourceFile } from "./source-file.ts";

/** What is wrong, in words; empty when nothing is. */
type Rule = (file: SourceFile) => readonly string[];

const fileLinesMax = 300;
const functionLinesMax = 69;
/** An opening comment says something, and no more than a reader takes in at once. */
const opening = { charactersMin: 50, linesMax: 6 };

/** Names of what an attacker must not guess a character at a time. */
const secretName = /(?:^|[.#?]|[a-z])(?:proof|hmac|mac|digest|signature|secret|nonce|token)$/i;

interface Layer {
  /** Folders of `src` it may import besides its own. */
  readonly folders: readonly string[];
  /** What else it may import; undefined for anything. */
  readonly packages?: RegExp;
}

/** Which way the layers point. A folder that is not here may not exist. */
const layers: Readonly<Record<string, Layer>> = {
  protocol: { folders: [], packages: /(?!)/ },
  msgpack: { folders: ["protocol"], packages: /^@msgpack\/msgpack$/ },
  engine: { folders: ["protocol"], packages: /(?!)/ },
  broker: { folders: ["engine", "protocol", "msgpack"] },
  client: { folders: ["protocol"], packages: /^node:/ },
  local: { folders: ["client", "broker", "engine", "protocol"] },
  integrations: { folders: ["client", "protocol"] },
  cli: { folders: ["broker", "client", "protocol"] },
  release: { folders: [] },
};

export const rules = {
  layersPointOneWay(file) {
    const folder = folderOf(file.path);
    if (folder === undefined) return [];
    const layer = layers[folder];
    if (layer === undefined) return [`src/${folder} is no layer`];
    return file.imports.flatMap((name) => {
      if (!name.startsWith(".")) {
        return (layer.packages ?? /^/).test(name) ? [] : [`src/${folder} may not import "${name}"`];
      }
      const target = resolve(file.path, name);
      if (!target.startsWith("src/")) return target === "package.json" ? [] : [`"${name}" leaves src`];
      const wanted = folderOf(target) ?? "";
      return wanted === folder || layer.folders.includes(wanted) ? [] : [`src/${folder} may not import src/${wanted}`];
    });
  },

  engineIsExchangeable(file) {
    const maker = "src/broker/core.ts";
    const implementation = "src/engine/memory/";
    if (!isSource(file.path) || file.path === maker || file.path.startsWith(implementation)) return [];
    const inner = file.imports.filter(
      (name) => name.startsWith(".") && resolve(file.path, name).startsWith(implementation),
    );
    return inner.map((name) => `only ${maker} may know which engine there is, and this imports "${name}"`);
  },

  opensWithComment(file) {
    if (!isOurs(file.path)) return [];
    const comment = /^(?:#!.*\n)?\/\*\*([\s\S]*?)\*\//.exec(file.text)?.[1];
    if (comment === undefined)
      return ["does not open with a /** comment */ that says what it owns and refuses to know"];
    const said = comment
      .split("\n")
      .map((line) => line.replace(/^\s*\*?\s*/, ""))
      .filter((line) => line.trim() !== "");
    if (said.join(" ").length < opening.charactersMin) return [`opening comment says too little: ${said.join(" ")}`];
    return said.length <= opening.linesMax
      ? []
      : [`opening comment has ${said.length} lines, at most ${opening.linesMax}`];
  },

  filesAreShort(file) {
    const lines = file.text.trimEnd().split("\n").length;
    return !isSource(file.path) || lines <= fileLinesMax ? [] : [`${lines} lines, at most ${fileLinesMax}`];
  },

  functionsAreShort(file) {
    if (!isSource(file.path)) return [];
    const long = file.blocks.filter((block) => block.lines > functionLinesMax);
    return long.map((block) => `line ${block.line}: a function of ${block.lines} lines, at most ${functionLinesMax}`);
  },

  noDefaultExports: (file) =>
    isSource(file.path) ? hits(file, /\bexport\s+default\b|\bas\s+default\b/g, "default export") : [],

  noBarrels(file) {
    if (!isSource(file.path)) return [];
    const stars = hits(file, /\bexport\s+\*/g, "export *");
    const own = file.code
      .replace(/\b(?:import|export)\b[^;"']*?\bfrom\s*["'] *["']\s*;?/g, "")
      .replace(/\bimport\s*["'] *["']\s*;?/g, "");
    return own.trim() === "" ? [...stars, "holds nothing but re-exports"] : stars;
  },

  namesSayWhat(file) {
    if (!isOurs(file.path)) return [];
    const vague = /(^|\/)(utils?|helpers?|common|misc)(\.|\/)/.test(file.path) ? ["a file name that says nothing"] : [];
    const words = /\b(?:\w*Manager|handleData|utils|helpers|opts|doSet|checkIf[A-Z]\w*)\b/g;
    return [...vague, ...hits(file, words, "a name that says nothing")];
  },

  importsNameTheFile(file) {
    const vague = file.imports.filter(
      (name) => name.startsWith(".") && !/\.(?:ts|js|mjs|json|txt|sh|lua|html)$/.test(name),
    );
    return vague.map((name) => `"${name}" lacks its .ts`);
  },

  exitAndArgvInCommandLine(file) {
    // A client is called by the script its process runs.
    if (!isSource(file.path) || /^src\/(?:cli\/|client\/own-label\.ts$)/.test(file.path)) return [];
    const indirect = file.imports.filter((name) => /^(?:node:)?process$/.test(name)).map((name) => `imports "${name}"`);
    const direct = /\bprocess\s*\.\s*(?:exit|exitCode|argv|abort)\b|\bBun\s*\.\s*argv\b/g;
    return [...indirect, ...hits(file, direct, "process exit or argv outside src/cli")];
  },

  environmentHasThreeReaders(file) {
    const readers = /^src\/(?:cli\/settings\/settings\.ts|client\/environment\.ts|integrations\/)/;
    if (!isSource(file.path) || readers.test(file.path)) return [];
    return hits(file, /\b(?:process|Bun)\s*\.\s*env\b|\bmeta\s*\.\s*env\b/g, "reads the environment");
  },

  timeAndChanceAreHandedIn(file) {
    if (!/^src\/(?:engine|broker|protocol)\//.test(file.path) || file.path === "src/engine/clock.ts") return [];
    return hits(
      file,
      /\bDate\s*\.\s*now\b|\bnew\s+Date\s*\(\s*\)|\bMath\s*\.\s*random\b|\bperformance\s*\.\s*now\b/g,
      "its own clock or dice",
    );
  },

  noAny: (file) => hits(file, /(?:[:<,|&]\s*|\bas\s+)any\b(?!\s*[:(?])/g, "any"),

  noSilencedCompiler(file) {
    const silenced = isSource(file.path) ? /@ts-(?:ignore|nocheck|expect-error)/g : /@ts-(?:ignore|nocheck)/g;
    return hitsInText(file, silenced, "silences the compiler");
  },

  noPostponedWork: (file) => hitsInText(file, /\b(?:TO{1}DO|FIX{1}ME|X{3}|HAC{1}K)\b/g, "postponed work"),

  noHalfRunSuites: (file) =>
    file.path.startsWith("test/") ? hits(file, /\b(?:test|describe|it)\.(?:only|todo)\b/g, "hides other tests") : [],

  privateMeansPrivate: (file) =>
    isSource(file.path)
      ? hits(file, /^\s*(?:private|protected|public)\s+(?!constructor\b)[\w#]/gm, "write #private")
      : [],

  secretsAreComparedInConstantTime(file) {
    if (!isSource(file.path)) return [];
    const tells = (whole: string): string => `"${whole}" takes a time that tells the secret`;
    const harmless = /^(?:undefined|null|""|''|0|false|true)$/;
    const comparisons = file.code.matchAll(/(typeof\s+)?([\w.#?!]+)\s*[!=]==?\s*([\w.#?]+|"[^"]*"|'[^']*')/g);
    const compared = [...comparisons].flatMap(([whole, kind, left = "", right = ""]) => {
      if (kind !== undefined || harmless.test(left) || harmless.test(right)) return [];
      return secretName.test(left) || secretName.test(right) ? [tells(whole)] : [];
    });
    // Comparing by other means: a method of the secret or with it, a digest compared where it is made, a switch.
    const calls = file.code.matchAll(
      /([\w.#?!]+?)\??\.(?:equals|compare|localeCompare|startsWith|endsWith|includes|indexOf|has|deepEquals|is)\(\s*([\w.#?]*)[^()]*?([\w.#?]*)\s*\)/g,
    );
    const asked = [...calls].flatMap(([whole, ...names]) =>
      names.some((name) => secretName.test(name)) ? [tells(whole)] : [],
    );
    const digests = file.code.matchAll(/\bdigest\([^()]*\)\s*[!=]==?|[!=]==?\s*[\w.#?]*\.?digest\(/g);
    const switches = [...file.code.matchAll(/\bswitch\s*\(\s*([\w.#?]+)\s*\)/g)].filter(([, name = ""]) =>
      secretName.test(name),
    );
    return [...compared, ...asked, ...[...digests, ...switches].map(([whole]) => tells(whole))];
  },

  noMachinePaths: (file) => hitsInText(file, /(?<![\w.~*-])\/(?:work|root)\/[\w.]/g, "a path of one machine"),
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof rules;

/** All that is wrong with a file, each complaint with the rule's name. */
export function complaintsAbout(path: string, text: string): readonly string[] {
  const file = new SourceFile(path, text);
  return Object.entries<Rule>(rules).flatMap(([name, rule]) => rule(file).map((text) => `${path}: ${text} (${name})`));
}

function isSource(path: string): boolean {
  return path.startsWith("src/");
}

function isOurs(path: string): boolean {
  return isSource(path) || path.startsWith("test/support/");
}

/** The layer a file of `src` belongs to; undefined outside. */
function folderOf(path: string): string | undefined {
  return isSource(path) ? (path.split("/")[1] ?? "") : undefined;
}

function resolve(from: string, name: string): string {
  return new URL(name, `file:///${from}`).pathname.slice(1);
}

function hits(file: SourceFile, pattern: RegExp, what: string): readonly string[] {
  return [...file.code.matchAll(pattern)].map(
    (match) => `line ${file.lineAt(match.index)}: ${what} (${match[0].trim()})`,
  );
}

function hitsInText(file: SourceFile, pattern: RegExp, what: string): readonly string[] {
  return [...file.text.matchAll(pattern)].map((match) => `line ${file.lineAt(match.index)}: ${what} (${match[0]})`);
}
