import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { LIBRARIES, vendor, withoutSourceMap } from "../../scripts/vendor.mjs";

const MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));

test("copies every library with its license and without source maps", async (context) => {
  const target = await mkdtemp(path.join(os.tmpdir(), "vendor-"));
  context.after(() => rm(target, { recursive: true }));
  await vendor(MODULES, target);

  const expected = LIBRARIES.flatMap(({ file, license }) => [path.basename(file), license]);
  assert.deepEqual((await readdir(target)).sort(), expected.sort());
  for (const name of expected) {
    const text = await readFile(path.join(target, name), "utf8");
    assert.ok(text.length > 1_000, name);
    assert.doesNotMatch(text, /sourceMappingURL/);
  }
});

test("says what to do when the packages are not installed", async () => {
  await assert.rejects(vendor("/nowhere", "/nowhere-either"), /npm ci/);
});

test("only the source map comment is removed", () => {
  assert.equal(withoutSourceMap("a;\n//# sourceMappingURL=a.js.map\nb; // c\n"), "a;\nb; // c\n");
});
