// The stream as Node's pipelines use it: time, back-pressure, what is no record, and the end.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import { Engine, Form, Source } from "abort-reason";
import { AbortReasonStream } from "abort-reason/stream";

const REASON =
  "Nov 23 13:01:06 mx1 sendmail[14029]: 6AND15d3014029: Milter (PureMessage): timeout before data read, where=rcpt";
const ABORT =
  "2026-11-23T13:01:09 q=6AND15d3014029 f=<a@example.org> t=<b@example.net> r=relay.example.com tm=6.04 a=c/abort";
const config = { filter_names: ["PureMessage"], hold_secs: 0.2 };

test("an abort leaves with time, not with the end", async () => {
  const stream = new AbortReasonStream({ config });
  stream.write({ message: ABORT, n: 1n === 1n });
  const [record] = await once(stream, "data");
  assert.equal(record.abort.class, "unexplained");
  stream.write({ message: REASON });
  stream.resume();
  stream.end();
  await once(stream, "end");
});

test("what came in comes out as it was", async () => {
  const date = new Date(0);
  const abort = { message: ABORT, date, big: { n: undefined } };
  const cycle = {};
  cycle.cycle = cycle;
  const others = [{ message: "x", date }, cycle, { big: 1n }, "", "two\nlines", 7, true, [1], { abort: { class: "y" } }];
  const out = await Readable.from([...others, abort]).pipe(new AbortReasonStream({ config })).toArray();
  assert.equal(out.length, others.length + 1);
  others.forEach((record, at) => assert.equal(out[at], record));
  const { abort: added, ...rest } = out.at(-1);
  assert.deepEqual(rest, abort);
  assert.equal(rest.date, date);
  assert.equal(added.status, "unexplained");
});

test("a slow reader is waited for", async () => {
  const stream = new AbortReasonStream({ config, highWaterMark: 4 });
  let read = 0;
  let written = 0;
  const source = Readable.from(
    (function* () {
      for (; written < 500; written += 1) yield { message: "ordinary", written };
    })(),
    { highWaterMark: 1 },
  );
  const slow = new Writable({
    objectMode: true,
    highWaterMark: 1,
    write(record, _, done) {
      assert.equal(record.written, read);
      read += 1;
      assert.ok(written - read < 20, `${written} written, ${read} read`);
      setImmediate(done);
    },
  });
  await pipeline(source, stream, slow);
  assert.equal(read, 500);
});

test("a wrong configuration says what is wrong", () => {
  assert.throws(() => new AbortReasonStream({ config: { hold_secs: "x" } }), /hold_secs/);
  assert.throws(() => new Engine("{"), Error);
});

test("tickets, snapshots and time", () => {
  const bytes = (text) => new TextEncoder().encode(text);
  const engine = new Engine(JSON.stringify(config));
  const [disposition] = engine.push(Source.MessageLog, Form.Line, bytes(ABORT), 41, 1000);
  assert.equal(disposition, 2);
  assert.ok(engine.pollTimeout() > 1000);
  const other = new Engine(JSON.stringify(config));
  other.restore(engine.snapshot());
  other.push(Source.Mail, Form.Line, bytes(`${REASON}\r\n`), 42, 1001);
  other.finish();
  const batch = other.poll(10);
  assert.deepEqual([...batch.tickets], [41]);
  assert.deepEqual([...batch.released].sort(), [41, 42]);
  assert.match(new TextDecoder().decode(batch.takeData()), /"class":"filter_timeout"/);
  assert.throws(() => new Engine().restore(engine.snapshot()), Error);
  assert.equal(JSON.parse(other.stats()).aborts, 1);
});

test("a destroyed stream leaves nothing running", async () => {
  const stream = new AbortReasonStream({ config });
  stream.write({ message: ABORT });
  stream.destroy();
  await once(stream, "close");
  assert.equal(stream.stats().aborts, 1);
});

test("a reader may destroy the stream while it is given a record", async () => {
  for (const record of [{ message: "ordinary" }, { message: ABORT }]) {
    const stream = new AbortReasonStream({ config });
    stream.on("data", () => stream.destroy());
    stream.write(record);
    await once(stream, "close");
  }
});

test("lines with their end, and bytes", async () => {
  const lines = [`${REASON}\n`, `${ABORT}\r\n`, Buffer.from(REASON.replace("15d3", "15d4")), Buffer.from(ABORT.replace("15d3", "15d4"))];
  const out = await Readable.from(lines).pipe(new AbortReasonStream({ config })).toArray();
  assert.equal(out.filter((record) => record.abort?.class === "filter_timeout").length, 2);
  assert.deepEqual(out.filter((record) => record.abort === undefined), [lines[0], lines[2]]);
});

test("what has no type is checked", () => {
  assert.throws(() => new Engine({ hold_secs: "x" }), /hold_secs/);
  assert.equal(new Engine(config).poll(1).more, false);
  const engine = new Engine();
  assert.throws(() => engine.push(Source.Auto, Form.Line, "text", 0, 0), /Uint8Array/);
  for (const ticket of [NaN, -1, 1.5, 2 ** 53]) {
    assert.throws(() => engine.push(Source.Auto, Form.Line, new Uint8Array(2), ticket, 0), /ticket/);
  }
});

test("a profile's fields stand beside what came in", async () => {
  const date = new Date(0);
  const stream = new AbortReasonStream({ config: { ...config, profile: "ecs" } });
  const [record] = await Readable.from([{ message: REASON }, { message: ABORT, date }])
    .pipe(stream)
    .filter((record) => record.message === ABORT)
    .toArray();
  assert.equal(record.date, date);
  assert.equal(record.error.type, "filter_timeout");
  assert.equal(record.event.original, ABORT);
  assert.ok(!("abort" in record));
});
