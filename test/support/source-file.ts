/**
 * A source file as the style test sees it: its text, the same text with comments and literals blanked out, the modules
 * it names and its brace blocks. A small tokenizer, because the compiler has no interface to ask and the transpiler
 * forgets type imports. Knows nothing of any rule.
 */

/** A `{ … }` that holds statements: a function, or a part of one. */
export interface Block {
  /** 1-based line the block's header begins on. */
  readonly line: number;
  readonly lines: number;
}

export class SourceFile {
  /** Relative to the repository, with `/`. */
  readonly path: string;
  readonly text: string;
  /** `text` with comments and the insides of strings, templates and regular expressions replaced by spaces. */
  readonly code: string;

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
    this.code = blankLiterals(text);
  }

  /** Every module named by an import, a re-export, a dynamic or a type import, in order. */
  get imports(): readonly string[] {
    const found: string[] = [];
    for (const match of this.code.matchAll(/\b(?:from|import|require)\s*\(?\s*(["'])( *)\1/g)) {
      const end = match.index + match[0].length - 1;
      found.push(this.text.slice(end - (match[2] ?? "").length, end));
    }
    return found;
  }

  get blocks(): readonly Block[] {
    const open: { readonly header: number; readonly isStatements: boolean }[] = [];
    const found: Block[] = [];
    for (let at = 0; at < this.code.length; at++) {
      if (this.code[at] === "{") open.push({ header: this.#headerOf(at), isStatements: this.#holdsStatements(at) });
      if (this.code[at] !== "}") continue;
      const block = open.pop();
      if (!block?.isStatements) continue;
      const line = this.lineAt(block.header);
      found.push({ line, lines: this.lineAt(at) - line + 1 });
    }
    return found;
  }

  /** 1-based. */
  lineAt(offset: number): number {
    return this.text.slice(0, offset).split("\n").length;
  }

  /** After `=`, `(`, `,` and the like a brace opens an object or a type; after class, interface or enum, members. */
  #holdsStatements(brace: number): boolean {
    const before = this.code.slice(0, brace).trimEnd();
    if (before.endsWith("=>")) return true;
    if (before === "" || /[=([,:?&|<]$|\breturn$/.test(before)) return false;
    const header = before.slice(
      Math.max(before.lastIndexOf(";"), before.lastIndexOf("}"), before.lastIndexOf("{")) + 1,
    );
    return !/(^|\s)(class|interface|enum|namespace|switch|satisfies|extends)\b/.test(header);
  }

  /** Where the signature before `brace` begins: the line of its first parameter, as far as can be told. */
  #headerOf(brace: number): number {
    let at = this.code.slice(0, brace).trimEnd().length - 1;
    const lastParen = this.code.lastIndexOf(")", at);
    if (lastParen < 0 || /[;{}]/.test(this.code.slice(lastParen + 1, at))) return brace;
    let depth = 0;
    for (at = lastParen; at >= 0; at--) {
      if (this.code[at] === ")") depth++;
      if (this.code[at] === "(" && --depth === 0) return at;
    }
    return brace;
  }
}

const regexKeywords = /(?:^|[^\w$.])(?:return|typeof|case|in|of|delete|void|throw|new|else|do|await|yield)$/;

function blankLiterals(text: string): string {
  const blank = (part: string): string => part.replace(/[^\n]/g, " ");
  let code = "";
  /** Brace depth at which each open template hole ends. */
  const holes: number[] = [];
  let depth = 0;
  let at = 0;
  const takeBlanked = (pattern: RegExp, keepEnds: number): void => {
    pattern.lastIndex = at;
    const part = pattern.exec(text)?.[0] ?? text.slice(at, at + 1);
    const keep = Math.min(keepEnds, part.length >> 1);
    code += part.slice(0, keep) + blank(part.slice(keep, part.length - keep)) + part.slice(part.length - keep);
    at += part.length;
  };
  while (at < text.length) {
    const char = text[at] ?? "";
    if (text.startsWith("//", at) || (at === 0 && text.startsWith("#!"))) takeBlanked(/.*/y, 0);
    else if (text.startsWith("/*", at)) takeBlanked(/\/\*[\s\S]*?(?:\*\/|$)/y, 0);
    else if (char === '"' || char === "'")
      takeBlanked(char === '"' ? /"(?:\\[\s\S]|[^"\\\n])*"?/y : /'(?:\\[\s\S]|[^'\\\n])*'?/y, 1);
    else if (char === "/" && regexMayStart(code))
      takeBlanked(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y, 1);
    else if (char === "`" || (char === "}" && holes.at(-1) === depth)) {
      if (char === "}") holes.pop();
      takeBlanked(/[`}](?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)?/y, 1);
      if (text.startsWith("${", at - 2)) holes.push(depth);
    } else {
      if (char === "{") depth++;
      if (char === "}") depth--;
      code += char;
      at++;
    }
  }
  return code;
}

/** A slash divides after a value and starts a regular expression everywhere else. */
function regexMayStart(code: string): boolean {
  const before = code.trimEnd();
  return !/[\w$)\]}"'`]$/.test(before) || regexKeywords.test(before);
}
