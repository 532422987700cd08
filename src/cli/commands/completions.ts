/**
 * The page of completions: the script by which a shell knows every command and flag of ours.
 */
import { usageError } from "../failure.ts";
import { print } from "../output.ts";
import { definePage } from "../page.ts";
import { quoted } from "../settings/settings.ts";

const shells = ["bash", "zsh", "fish"] as const;

export const completionsPage = definePage({
  name: "completions",
  group: "Program",
  summary: "Print the script that completes our commands in a shell",
  notes: [
    "The shell then completes commands, flags, words that a flag takes, the names of running brokers, and behind start the command that is to be run.",
    "For zsh the folder must be on fpath before compinit runs: fpath=(~/.zfunc $fpath) in .zshrc. A new shell knows the script.",
  ],
  examples: [
    {
      line: "ephemeral completions bash > ~/.local/share/bash-completion/completions/ephemeral",
      does: "bash with the package bash-completion",
    },
    { line: "source <(ephemeral completions bash)", does: "bash without it, or to try: this shell alone" },
    { line: "ephemeral completions zsh > ~/.zfunc/_ephemeral", does: "zsh" },
    { line: "ephemeral completions fish > ~/.config/fish/completions/ephemeral.fish", does: "fish" },
  ],
  args: {
    shell: { type: "positional", required: true, valueHint: shells.join("|"), description: "bash, zsh or fish" },
  },
  async perform({ shell }) {
    await print(await scriptFor(shell));
  },
});

async function scriptFor(shell: string): Promise<string> {
  const { vocabulary } = await import("../completions/vocabulary.ts");
  switch (shell) {
    case "bash":
      return (await import("../completions/bash.ts")).bashCompletions(await vocabulary());
    case "zsh":
      return (await import("../completions/zsh.ts")).zshCompletions(await vocabulary());
    case "fish":
      return (await import("../completions/fish.ts")).fishCompletions(await vocabulary());
    default:
      throw usageError(
        `Cannot read SHELL: wanted ${shells.join(", ")}, got ${quoted(shell)}`,
        "See: ephemeral help completions",
      );
  }
}
