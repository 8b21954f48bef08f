// Writes ../upshot/web/static/vendor: one module, the licences, and vendor.json with versions and digests.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "upshot", "web", "static", "vendor");
rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });

const result = await build({
  absWorkingDir: here,
  entryPoints: ["codemirror.mjs"],
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  legalComments: "none",
  metafile: true,
  charset: "utf8",
  write: false,
});
const code = result.outputFiles[0].contents;
writeFileSync(join(target, "codemirror.js"), code);

const lock = JSON.parse(readFileSync(join(here, "package-lock.json"), "utf8")).packages;
const folders = new Set(
  Object.keys(result.metafile.inputs).map((input) => input.match(/^(node_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1]).filter(Boolean),
);
const packages = [...folders].sort().map((folder) => {
  const own = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
  const licence = readdirSync(join(here, folder)).find((name) => /^licen[cs]e/i.test(name));
  if (!licence || !existsSync(join(here, folder, licence))) throw new Error(`${folder} has no licence text`);
  return { name: own.name, version: own.version, license: own.license, integrity: lock[folder].integrity,
    text: readFileSync(join(here, folder, licence), "utf8").trim() };
});
const texts = packages.map((each) => `${each.name} ${each.version} (${each.license})\n\n${each.text}\n`).join("\n---\n\n");
writeFileSync(join(target, "LICENSES.txt"), texts);

const digest = (name) => createHash("sha256").update(readFileSync(join(target, name))).digest("hex");
const files = Object.fromEntries(["LICENSES.txt", "codemirror.js"].map((name) => [name, digest(name)]));
const described = packages.map(({ text, ...each }) => each);
writeFileSync(join(target, "vendor.json"), JSON.stringify({ files, packages: described }, null, 2) + "\n");
