// The corpus gives the same bytes as `abort-reason explain`. CORPUS: its folder; EXPLAINED: what `explain` printed, by the
// form of the mail log, as a folder of NDJSON files.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { Engine, Form, Source } from "abort-reason";
import { AbortReasonStream } from "abort-reason/stream";

const { CORPUS, EXPLAINED } = process.env;
const config = { filter_names: ["PureMessage"] };
const scenarios = readdirSync(CORPUS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
const decoder = new TextDecoder();

// The last word on each abort, in an order of its own.
function latest(records) {
  const last = new Map();
  for (const record of records) {
    const { id, revision } = JSON.parse(record).abort;
    const known = last.get(id);
    if (known === undefined || known.revision <= revision) last.set(id, { revision, record });
  }
  return [...last.values()].map(({ record }) => record).sort();
}

function explained(form) {
  return readFileSync(`${EXPLAINED}/${form}.ndjson`, "utf8").trimEnd().split("\n").sort();
}

for (const form of ["bsd", "iso", "rfc5424"]) {
  test(`the engine, ${form}`, () => {
    const engine = new Engine(JSON.stringify(config));
    const push = (source, name) => {
      for (const { name: folder } of scenarios) {
        engine.push(source, Form.Line, readFileSync(`${CORPUS}/${folder}/${name}`), 0, 0);
      }
    };
    push(Source.Mail, `maillog.${form}`);
    push(Source.MessageLog, "message_log");
    engine.finish();
    const records = [];
    for (let more = true; more; ) {
      const batch = engine.poll(7);
      records.push(...decoder.decode(batch.takeData()).split("\n").filter(Boolean));
      more = batch.more;
    }
    assert.ok(records.length >= 521, `only ${records.length}`);
    assert.deepEqual(latest(records), explained(form));
  });

  test(`the stream, ${form}`, async () => {
    const stream = new AbortReasonStream({ config });
    const lines = [`maillog.${form}`, "message_log"].flatMap((name) =>
      scenarios.flatMap(({ name: folder }) => {
        const text = readFileSync(`${CORPUS}/${folder}/${name}`, "utf8");
        return text.split("\n").filter(Boolean);
      }),
    );
    const writing = (async () => {
      for (const line of lines) {
        if (!stream.write(line)) await new Promise((resolve) => stream.once("drain", resolve));
      }
      stream.end();
    })();
    const records = [];
    let passed = 0;
    for await (const record of stream) {
      if (typeof record === "string") passed += 1;
      else records.push(JSON.stringify(record));
    }
    await writing;
    // Every line comes out, once.
    assert.equal(passed + stream.stats().issued - stream.stats().revisions, lines.length);
    assert.deepEqual(latest(records).map(reread), explained(form).map(reread));
  });
}

// JavaScript writes 5.0 as 5.
const reread = (record) => JSON.stringify(JSON.parse(record));
