/**
 * The pages of help and version: the program about itself.
 */
import packageJson from "../../../package.json" with { type: "json" };
import { print, printJson } from "../output.ts";
import { definePage } from "../page.ts";

export const helpPage = definePage({
  name: "help",
  group: "Program",
  summary: "Show what a command does and takes",
  examples: [{ line: "ephemeral help start", does: "the same as ephemeral start --help" }],
  args: {
    command: { type: "positional", required: false, valueHint: "COMMAND", description: "Without it: all commands" },
  },
  async perform({ command }) {
    const { helpFor } = await import("../help.ts");
    await print(await helpFor(command));
  },
});

export const versionPage = definePage({
  name: "version",
  group: "Program",
  summary: "Print the version",
  examples: [{ line: "ephemeral version --json", does: '{"version":"…"}' }],
  args: { json: { type: "boolean", description: "Print one JSON document" } },
  perform: ({ json }) =>
    json === true ? printJson({ version: packageJson.version }) : print(`${packageJson.version}\n`),
});
