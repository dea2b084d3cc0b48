import assert from "node:assert/strict";
import { test } from "node:test";

import { brief, bytes, omittedBytes, parsed, pretty, timeText, usageText } from "../../streamsink/static/format.js";

test("JSON is shown as JSON, an unfinished fragment as it is", () => {
  assert.equal(pretty('{"a":1}'), '{\n  "a": 1\n}');
  assert.equal(pretty('{"a":'), '{"a":');
  assert.equal(pretty({ a: [] }), '{\n  "a": []\n}');
  assert.equal(pretty("Sunny"), "Sunny");
  assert.equal(pretty(""), "");
  assert.equal(parsed(3), 3);
});

test("what was too large to be sent says how large it was", () => {
  assert.equal(pretty({ omitted: 1_500_000 }), "(1.5 MB left out)");
  assert.equal(omittedBytes({ omitted: 3, other: 1 }), null);
  assert.equal(omittedBytes(null), null);
  assert.deepEqual([0, 999, 1_000, 2 ** 50].map(bytes), ["0 bytes", "999 bytes", "1 kB", "1125899.9 GB"]);
});

test("arguments fit on one line", () => {
  assert.equal(brief('{"city":"Lisbon","days":3,"tags":["a"]}'), 'city: Lisbon, days: 3, tags: ["a"]');
  assert.equal(brief('{"city":"Li'), '{"city":"Li');
  assert.equal(brief("null"), "");
});

test("usage is told when it is known", () => {
  assert.match(usageText({ input_token_count: 12, output_token_count: 3 }), /^12 .* 3 /);
  assert.equal(usageText(null), "");
  assert.equal(usageText({ total: 3 }), "");
});

test("the day is told when it is another one", () => {
  const now = Date.UTC(2026, 5, 15, 12);
  assert.ok(timeText(now - 40 * 86_400_000, now).length > timeText(now, now).length);
});
