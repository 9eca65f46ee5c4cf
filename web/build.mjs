// Build the page into the hub's package: hashed files, each also compressed, and index.html.
//
//   node build.mjs [FOLDER]     FOLDER is hub/src/metricat_hub/page by default

import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const source = fileURLToPath(new URL("src/", import.meta.url));
const target = process.argv[2] ?? fileURLToPath(new URL("../hub/src/metricat_hub/page", import.meta.url));

const { outputFiles, metafile } = await build({
  entryPoints: [join(source, "main.tsx"), join(source, "theme.ts")],
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  legalComments: "none",
  outdir: "/",
  publicPath: "/assets",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  metafile: true,
  write: false,
});

const files = new Map(outputFiles.map((file) => [basename(file.path), Buffer.from(file.contents)]));
const icon = await readFile(join(source, "icon.svg"));
const iconName = `icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8)}.svg`;
files.set(iconName, icon);

const entries = Object.entries(metafile.outputs).filter(([, output]) => output.entryPoint);
const entryOf = (name) => entries.find(([, output]) => output.entryPoint.endsWith(`src/${name}`));
const [mainPath, main] = entryOf("main.tsx");
const preloads = main.imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => basename(path));

const html = (await readFile(join(source, "index.html"), "utf8"))
  .replace("{{icon}}", iconName)
  .replace("{{theme}}", basename(entryOf("theme.ts")[0]))
  .replace("{{style}}", basename(main.cssBundle))
  .replace("{{main}}", basename(mainPath))
  .replace("{{preloads}}", preloads.map((name) => `<link rel="modulepreload" href="/assets/${name}">`).join(""));
files.set("index.html", Buffer.from(html));

// A hub may run: write next to the folder, then replace it.
const next = `${target}.${process.pid}`;
await mkdir(next, { recursive: true });
await Promise.all(
  [...files].flatMap(([name, content]) => [
    writeFile(join(next, name), content),
    writeFile(join(next, `${name}.gz`), gzipSync(content, { level: 9 })),
  ]),
);
await rm(target, { recursive: true, force: true });
await rename(next, target);
