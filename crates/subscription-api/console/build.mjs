// Bundles the console into dist/: hashed assets and one page, each also compressed with brotli and gzip.
// Fails if the first view is too large for a phone on a slow connection.

import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import * as esbuild from 'esbuild';

/** Maximum size of the first view in bytes, compressed with gzip, which every client accepts. */
const FIRST_VIEW_BYTES = 200 * 1024;
const HERE = dirname(fileURLToPath(import.meta.url));
const DIST = join(HERE, 'dist');

const settings = {
  absWorkingDir: HERE,
  entryPoints: { app: 'src/main.tsx' },
  bundle: true,
  format: 'esm',
  target: ['es2022', 'chrome123', 'firefox120', 'safari17.5'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  minify: true,
  legalComments: 'none',
  entryNames: 'assets/[name]-[hash]',
  outdir: DIST,
  write: false,
  metafile: true,
  logLevel: 'warning',
};

/** Returns the name under which the page links an output file of the bundle. */
function named(outputs, extension) {
  const found = outputs.find((file) => extname(file.path) === extension);
  return `assets/${found.path.split(/[\\/]/).at(-1)}`;
}

function compressed(bytes) {
  const brotli = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  return { brotli, gzip: gzipSync(bytes, { level: 9 }) };
}

/** Writes a file and its compressed forms, and returns their sizes. */
async function put(name, bytes) {
  const path = join(DIST, name);
  const { brotli, gzip } = compressed(bytes);
  await mkdir(dirname(path), { recursive: true });
  await Promise.all([writeFile(path, bytes), writeFile(`${path}.br`, brotli), writeFile(`${path}.gz`, gzip)]);
  return { gzip: gzip.length, brotli: brotli.length };
}

async function clear() {
  await mkdir(DIST, { recursive: true });
  const old = (await readdir(DIST)).filter((name) => name !== '.gitignore');
  await Promise.all(old.map((name) => rm(join(DIST, name), { recursive: true })));
}

async function build() {
  const { outputFiles: outputs } = await esbuild.build(settings);
  const icon = await readFile(join(HERE, 'static/icon.svg'));
  const iconName = `assets/icon-${createHash('sha256').update(icon).digest('hex').slice(0, 8)}.svg`;
  const template = await readFile(join(HERE, 'static/index.html'), 'utf8');
  const page = template
    .replace('{script}', named(outputs, '.js'))
    .replace('{style}', named(outputs, '.css'))
    .replace('{icon}', iconName);

  await clear();
  const files = [
    ...outputs.map((file) => [`assets/${file.path.split(/[\\/]/).at(-1)}`, Buffer.from(file.contents)]),
    [iconName, icon],
    ['index.html', Buffer.from(page)],
  ];
  let total = { gzip: 0, brotli: 0 };
  for (const [name, bytes] of files) {
    const size = await put(name, bytes);
    total = { gzip: total.gzip + size.gzip, brotli: total.brotli + size.brotli };
    console.log(`  ${name.padEnd(26)} ${String(bytes.length).padStart(7)} bytes, ${size.gzip} as gzip`);
  }
  const kib = (bytes) => (bytes / 1024).toFixed(1);
  console.log(`  first view: ${kib(total.gzip)} KiB as gzip, ${kib(total.brotli)} KiB as brotli`);
  if (total.gzip > FIRST_VIEW_BYTES) throw new Error(`the first view is over ${kib(FIRST_VIEW_BYTES)} KiB`);
}

await build();
