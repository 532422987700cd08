/**
 * Files as one archive in memory: tar with gzip, or zip. Only what a release needs of them: files in one folder with their
 * modes, names of at most 100 bytes, and times that say when the release was made.
 */

export interface ArchivedFile {
  /** With the folder in front. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly isExecutable: boolean;
}

export interface ArchiveOptions {
  readonly atMs: number;
}

const blockBytes = 512;
const encoder = new TextEncoder();

/** A gzipped tar in the form of POSIX (ustar). */
export function tarGz(files: readonly ArchivedFile[], { atMs }: ArchiveOptions): Uint8Array {
  const blocks = files.flatMap((file) => [tarHeader(file, atMs), file.bytes, padding(file.bytes.length)]);
  // Two empty blocks end a tar.
  return Bun.gzipSync(Buffer.concat([...blocks, new Uint8Array(2 * blockBytes)]), { library: "libdeflate", level: 6 });
}

function padding(length: number): Uint8Array {
  return new Uint8Array((blockBytes - (length % blockBytes)) % blockBytes);
}

function tarHeader({ path, bytes, isExecutable }: ArchivedFile, atMs: number): Uint8Array {
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, "0")}\0`;
  header.write(path, 0, 100);
  header.write(octal(modeOf(isExecutable), 7), 100);
  header.write(octal(0, 7) + octal(0, 7), 108);
  header.write(octal(bytes.length, 11), 124);
  header.write(octal(Math.floor(atMs / 1000), 11), 136);
  // The sum is made as if it were eight spaces itself.
  header.write("        0", 148);
  header.write("ustar\0" + "00", 257);
  header.write(
    `${octal(
      header.reduce((sum, byte) => sum + byte, 0),
      6,
    )} `,
    148,
  );
  return header;
}

function modeOf(isExecutable: boolean): number {
  return isExecutable ? 0o755 : 0o644;
}

const localSignature = 0x04034b50;
const centralSignature = 0x02014b50;
const endSignature = 0x06054b50;
/** 2.0: deflate. Made on Unix, so that the modes count. */
const zipVersion = 20;
const zipMadeBy = (3 << 8) | zipVersion;
const deflated = 8;
const regularFile = 0o100000;

/** A zip with deflated files. */
export function zip(files: readonly ArchivedFile[], { atMs }: ArchiveOptions): Uint8Array {
  const parts: Uint8Array[] = [];
  const central: Uint8Array[] = [];
  let offset = 0;
  for (const file of files) {
    const packed = Bun.deflateSync(Uint8Array.from(file.bytes), { library: "libdeflate", level: 6 });
    const name = encoder.encode(file.path);
    const about = zipAbout(file, { atMs, packedBytes: packed.length, nameBytes: name.length });
    const local = Buffer.concat([words([localSignature, 4], [zipVersion, 2]), about, name]);
    const attributes = ((regularFile | modeOf(file.isExecutable)) << 16) >>> 0;
    central.push(
      words([centralSignature, 4], [zipMadeBy, 2], [zipVersion, 2]),
      about,
      words([0, 2], [0, 2], [0, 2], [attributes, 4], [offset, 4]),
      name,
    );
    parts.push(local, packed);
    offset += local.length + packed.length;
  }
  const directory = Buffer.concat(central);
  const count = files.length;
  const end = words([endSignature, 4], [0, 4], [count, 2], [count, 2], [directory.length, 4], [offset, 4], [0, 2]);
  return Buffer.concat([...parts, directory, end]);
}

/** What stands alike before a file and in the directory, from the flags on. */
function zipAbout(
  { bytes }: ArchivedFile,
  { atMs, packedBytes, nameBytes }: { atMs: number; packedBytes: number; nameBytes: number },
): Uint8Array {
  const at = new Date(atMs);
  const time = (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1);
  const date = ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate();
  const sizes: Word[] = [
    [Bun.hash.crc32(bytes), 4],
    [packedBytes, 4],
    [bytes.length, 4],
    [nameBytes, 2],
  ];
  return words([0, 2], [deflated, 2], [time, 2], [date, 2], ...sizes, [0, 2]);
}

type Word = readonly [value: number, bytes: 2 | 4];

/** Numbers, the low byte first. */
function words(...values: readonly Word[]): Uint8Array {
  const bytes = Buffer.alloc(values.reduce((sum, [, size]) => sum + size, 0));
  let offset = 0;
  for (const [value, size] of values) offset = bytes.writeUIntLE(value, offset, size);
  return bytes;
}
