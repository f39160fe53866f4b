#[path = "../tests/host/mod.rs"]
mod host;
use host::{Filter, Heap, TICK};
fn main() {
    let module = std::env::args().nth(1).unwrap();
    let mut f = Filter::with(&std::fs::read(module).unwrap(), Heap::Own, true);
    f.record(TICK, 0, b"{}");
    let line = |n: usize, text: &str| {
        serde_json::json!({"log": format!("Nov 23 13:01:05 mx1 sendmail[{n}]: 6AND15V7{n:06}: {text}")}).to_string()
    };
    let from = |pad: usize| {
        format!(
            "from=<a@example.org>, size=9, class=0, nrcpts=1, msgid=<{}x@y>, proto=ESMTP, relay=z [192.0.2.1]",
            "m".repeat(pad)
        )
    };
    let mut go = |f: &mut Filter, name: &str, record: String| {
        let b = f.instructions();
        f.record("maillog", 5, record.as_bytes());
        let n = f.instructions() - b;
        println!("{name}: {} bytes {n}", record.len());
    };
    for n in 0..100 {
        let r = line(n, &from(0));
        f.record("maillog", 1, r.as_bytes());
    }
    go(&mut f, "from", line(200, &from(0)));
    go(&mut f, "from", line(201, &from(0)));
    go(&mut f, "from+100", line(202, &from(100)));
    go(&mut f, "from+1000", line(203, &from(1000)));
    go(&mut f, "to", line(204, "to=<a@example.org>, delay=0, xdelay=0, mailer=esmtp, stat=Sent (ok)"));
    go(&mut f, "add", line(204, "Milter (PureMessage) add: header: X"));
    go(&mut f, "add", line(205, "Milter (PureMessage) add: header: X"));
    go(&mut f, "noqueue", "{\"log\":\"Nov 23 13:01:05 mx1 sendmail[14029]: NOQUEUE: connect from x\"}".to_owned());
    go(&mut f, "other", "{\"log\":\"\"}".to_owned());
    let b = f.instructions();
    f.record(TICK, 6, b"{}");
    println!("tick {}", f.instructions() - b);
}
