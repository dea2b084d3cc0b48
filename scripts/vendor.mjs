/**
 * Copies the page's three libraries from node_modules to streamsink/static/vendor, each with its license text.
 *
 *     npm ci && node scripts/vendor.mjs [node_modules [target]]
 *
 * The versions are those of package-lock.json; nothing is downloaded and nothing is built. The target is not in git.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

// The npm package of the SignalR client carries no license file, only the line "MIT" and the notices of its parts.
const SIGNALR_LICENSE = `The MIT License (MIT)

Copyright (c) .NET Foundation and Contributors

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.

`;

/** What is copied: a module of the package, and the files that together are its license text. */
export const LIBRARIES = [
  {
    name: "@microsoft/signalr",
    file: "dist/browser/signalr.min.js",
    preamble: SIGNALR_LICENSE,
    licenses: ["src/third-party-notices.txt"],
    license: "signalr.LICENSE.txt",
  },
  { name: "marked", file: "lib/marked.esm.js", licenses: ["LICENSE"], license: "marked.LICENSE.txt" },
  { name: "dompurify", file: "dist/purify.es.mjs", licenses: ["LICENSE"], license: "dompurify.LICENSE.txt" },
];

/** Removes `//# sourceMappingURL=…`: the maps are not served, and a debugger would ask for them. */
export function withoutSourceMap(code) {
  return code.replace(/^\/\/[#@] sourceMappingURL=.*$\n?/gm, "");
}

/**
 * @param {string} modules the node_modules folder
 * @param {string} target created when missing
 * @returns {Promise<string[]>} one line for each library, for people
 * @throws {Error} when a library is not there; says what to do
 */
export async function vendor(modules, target) {
  const read = (library, file) =>
    readFile(path.join(modules, library.name, file), "utf8").catch((cause) => {
      throw new Error(`${library.name} is not in ${modules}; install the pinned packages first: npm ci`, { cause });
    });
  const copies = await Promise.all(LIBRARIES.map((library) => copyOf(library, read)));
  await mkdir(target, { recursive: true });
  for (const { files } of copies) {
    for (const [name, text] of files) await writeFile(path.join(target, name), text);
  }
  return copies.map(({ summary }) => summary);
}

async function copyOf(library, read) {
  const { version } = JSON.parse(await read(library, "package.json"));
  const code = withoutSourceMap(await read(library, library.file));
  const licenses = await Promise.all(library.licenses.map((file) => read(library, file)));
  const name = path.basename(library.file);
  return {
    files: [[name, code], [library.license, (library.preamble ?? "") + licenses.join("\n")]],
    summary: `${library.name} ${version} -> ${name}`,
  };
}

async function main([modules = path.join(ROOT, "node_modules"), target = path.join(ROOT, "streamsink/static/vendor")]) {
  try {
    for (const line of await vendor(modules, target)) console.log(line);
  } catch (error) {
    console.error(`vendor: ${error.message}`);
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main(process.argv.slice(2));
