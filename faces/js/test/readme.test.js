// The README's examples do what their last line says. Run inside a project that has the package installed.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";

const readme = readFileSync("node_modules/abort-reason/README.md", "utf8");
const examples = [...readme.matchAll(/```js\n([^]*?)```/g)].map((match) => match[1]);

test("there are examples", () => assert.equal(examples.length, 2));

for (const [number, example] of examples.entries()) {
  test(`example ${number + 1}`, () => {
    const file = `example-${number + 1}.mjs`;
    writeFileSync(file, example);
    const printed = execFileSync(process.execPath, [file], { encoding: "utf8" });
    const expected = [...example.matchAll(/^\/\/ (.*)$/gm)].map((match) => match[1]).join("\n");
    assert.equal(printed.trim(), expected);
  });
}
