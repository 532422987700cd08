/**
 * What the headers of an executable say: for which system and processor it is, which loader it asks for, and how much of the
 * file a signature covers. Reads ELF, Mach-O and PE, each only as far as that.
 */

export interface ExecutableHeader {
  readonly kind: "ELF" | "Mach-O" | "PE";
  readonly processor: "x64" | "arm64" | "unknown";
  /** The program that ELF is loaded by. */
  readonly loader?: string;
  /** Where the signature of Mach-O ends; undefined for none. */
  readonly signatureEnd?: number | undefined;
}

export function executableHeader(bytes: Uint8Array): ExecutableHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  if (magic === 0x7f454c46) return elf(view);
  if (magic === 0xcffaedfe) return machO(view);
  if (view.getUint16(0) === 0x4d5a) return pe(view);
  throw new Error(`an executable of no known kind: ${magic.toString(16)}`);
}

function elf(view: DataView): ExecutableHeader {
  const processor = processorOf(view.getUint16(18, true), { x64: 62, arm64: 183 });
  const table = Number(view.getBigUint64(32, true));
  const [size, count] = [view.getUint16(54, true), view.getUint16(56, true)];
  const interpreter = 3;
  for (let entry = table; entry < table + size * count; entry += size) {
    if (view.getUint32(entry, true) !== interpreter) continue;
    const offset = Number(view.getBigUint64(entry + 8, true));
    const length = Number(view.getBigUint64(entry + 32, true)) - 1;
    const loader = new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + offset, length));
    return { kind: "ELF", processor, loader };
  }
  return { kind: "ELF", processor };
}

function machO(view: DataView): ExecutableHeader {
  const processor = processorOf(view.getUint32(4, true), { x64: 0x01000007, arm64: 0x0100000c });
  const codeSignature = 0x1d;
  let command = 32;
  for (let left = view.getUint32(16, true); left > 0; left--) {
    if (view.getUint32(command, true) === codeSignature) {
      const signatureEnd = view.getUint32(command + 8, true) + view.getUint32(command + 12, true);
      return { kind: "Mach-O", processor, signatureEnd };
    }
    command += view.getUint32(command + 4, true);
  }
  return { kind: "Mach-O", processor, signatureEnd: undefined };
}

function pe(view: DataView): ExecutableHeader {
  const header = view.getUint32(0x3c, true);
  if (view.getUint32(header) !== 0x50450000) throw new Error("a DOS program");
  return { kind: "PE", processor: processorOf(view.getUint16(header + 4, true), { x64: 0x8664, arm64: 0xaa64 }) };
}

function processorOf(number: number, known: { x64: number; arm64: number }): ExecutableHeader["processor"] {
  if (number === known.x64) return "x64";
  return number === known.arm64 ? "arm64" : "unknown";
}
