//! The frozen vectors of `spec/event-v1`: this crate writes and reads them as they stand, and so does an independent
//! program. They are written by `CELLA_BLESS=1 cargo test -p cella-event --test vectors`, before the freeze only.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::{env, fmt::Write as _, fs, path::PathBuf, process::Command};

use cella_event::{
    CallId, Draft, Event, Hash, IdempotencyKey, Int, Kept, Key, Kind, Label, Map, Micros, PayloadRef, RunId,
    Salt, Seq, Value, Verifier, event_hash, payload_digest,
};
use serde_json::{Value as Json, json};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/event-v1")
}

/// Compares with the file, or writes it when asked to.
fn frozen(name: &str, made: &Json) {
    let path = folder().join(name);
    if env::var_os("CELLA_BLESS").is_some() {
        fs::write(&path, serde_json::to_string_pretty(made).unwrap() + "\n").unwrap();
    }
    let stored: Json = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(&stored, made, "{name} is frozen");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        write!(out, "{b:02x}").unwrap();
        out
    })
}

fn salt(n: u8) -> Salt {
    std::array::from_fn(|i| n.wrapping_mul(16).wrapping_add(i as u8))
}

fn reference(name: &'static str, n: u8, bytes: &[u8], kept: Kept) -> PayloadRef {
    PayloadRef {
        name: Key::literal(name),
        digest: payload_digest(&salt(n), bytes),
        bytes: bytes.len() as u64,
        kept,
    }
}

fn call(kind: Kind) -> Draft {
    Draft::new(kind)
        .run(RunId::new("r-01").unwrap())
        .call(CallId::new("c-01").unwrap())
        .principal(Label::new("local:uid=1000").unwrap())
        .server(Label::new("files").unwrap())
        .tool(Label::new("write_file").unwrap())
}

/// A short life of a ledger that meets every rule of the encoding.
fn chain() -> Vec<(Draft, Vec<PayloadRef>, i64)> {
    let control: String = (0u8..0x20).chain([0x7f]).map(char::from).collect();
    let nested = (0..6).fold(Map::new().with("deep", true), |inner, _| Map::new().with("in", inner));
    let key: String = (0x20u8..0x7f).map(char::from).filter(|c| !matches!(c, '"' | '\\')).take(64).collect();
    let mut odd = Map::new()
        .with("control", control)
        .with("empty list", Value::List(Vec::new()))
        .with("empty map", Map::new())
        .with("empty text", "")
        .with("greatest", Int::MAX)
        .with("least", Int::MIN)
        .with(
            "list",
            Value::List(vec![1.into(), "two".into(), true.into(), Map::new().with("four", 4).into()]),
        )
        .with("nested", nested)
        .with("no", false)
        .with("quotes", "say \"yes\" \\ or / no")
        .with("text", "Grüße, 世界, \u{1f980}, \u{2028}\u{feff}")
        .with("zero", 0);
    odd.insert(Key::new(key).unwrap(), 1);
    let arguments = br#"{"path":"notes.txt","text":"hello"}"#;
    vec![
        (
            Draft::new(Kind::LedgerCreated)
                .body(Map::new().with("ledger", Hash::from_bytes([7; 32]).to_string())),
            vec![],
            1_763_717_890_000_000,
        ),
        (
            call(Kind::CallIntended)
                .body(Map::new().with("effect", "irreversible").with("method", "tools/call")),
            vec![reference("arguments", 1, arguments, Kept::Full)],
            1_763_717_890_123_456,
        ),
        (
            call(Kind::CallCompleted)
                .parent(CallId::new("c-00").unwrap())
                .body(Map::new().with("error", false)),
            vec![
                reference("result", 2, b"{\"content\":[]}", Kept::Redacted),
                reference("result.original", 3, b"{\"content\":[],\"secret\":1}", Kept::None),
            ],
            1_763_717_890_223_456,
        ),
        // Time steps back, past 1970; nothing optional.
        (Draft::new(Kind::NodeStopped), vec![], -1),
        (Draft::new(Kind::parse("later.kind_2").unwrap()).body(odd), vec![], 0),
        (
            Draft::new(Kind::CallRefused)
                .principal(Label::new("\u{1f980}\n").unwrap())
                .tool(Label::clipped(&"ü".repeat(200))),
            vec![reference("arguments", 4, b"", Kept::Full)],
            Int::MAX.get(),
        ),
    ]
}

fn sealed() -> Vec<(Vec<u8>, Hash)> {
    let mut prev = Hash::ZERO;
    (1..)
        .zip(chain())
        .map(|(seq, (draft, payloads, time))| {
            let bytes = draft.encode(&payloads).unwrap().seal(Seq(seq), Micros(time), &prev);
            prev = event_hash(&bytes);
            (bytes, prev)
        })
        .collect()
}

#[test]
fn the_chain_is_written_as_frozen() {
    let made: Vec<_> = sealed()
        .into_iter()
        .map(
            |(bytes, hash)| json!({"canonical": String::from_utf8(bytes).unwrap(), "hash": hash.to_string()}),
        )
        .collect();
    frozen("chain.json", &Json::Array(made));
}

#[test]
fn the_frozen_chain_verifies_and_reads_back_to_what_was_meant() {
    let stored: Json =
        serde_json::from_str(&fs::read_to_string(folder().join("chain.json")).unwrap()).unwrap();
    let mut verifier = Verifier::genesis();
    for (stored, (draft, payloads, time)) in stored.as_array().unwrap().iter().zip(chain()) {
        let link = verifier.check(stored["canonical"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(link.hash.to_string(), stored["hash"]);
        let Event { kind, run, call, parent, principal, server, tool, body, .. } = link.event.clone();
        assert_eq!(draft, Draft { kind, run, call, parent, principal, server, tool, body });
        assert_eq!((link.event.payloads, link.event.time), (payloads, Micros(time)));
    }
    assert_eq!(verifier.steps_back(), 1);
}

#[test]
fn payload_digests_are_as_frozen() {
    let made: Vec<_> = [&b""[..], b"{\"id\":7}", &[0xff, 0x00, 0x80], &[b'x'; 200]]
        .iter()
        .zip(1..)
        .map(|(bytes, n)| {
            let digest = payload_digest(&salt(n), bytes).to_string();
            json!({"salt": hex(&salt(n)), "bytes": hex(bytes), "digest": digest})
        })
        .collect();
    frozen("payloads.json", &Json::Array(made));
}

#[test]
fn idempotency_keys_are_as_frozen() {
    let digest = payload_digest(&salt(1), b"{}");
    let made: Vec<_> = [(Some("r-01"), "c-01"), (None, "c-01"), (Some("r-0"), "1c-01"), (Some("r-01"), "7")]
        .iter()
        .map(|(run, step)| {
            let id = run.map(|run| RunId::new(run).unwrap());
            let key = IdempotencyKey::derive(id.as_ref(), step, &digest).to_string();
            json!({"run": run, "step": step, "arguments": digest.to_string(), "key": key})
        })
        .collect();
    frozen("idempotency.json", &Json::Array(made));
}

/// Bytes that are no first event, each for one reason.
fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = "0".repeat(64);
    let plain = format!(r#"{{"kind":"node.started","prev":"{zeros}","seq":1,"time":5,"v":1}}"#);
    let with = |body: &str| format!(r#"{{"body":{body},{}"#, &plain[1..]).into_bytes();
    let swap = |from: &str, to: &str| plain.replacen(from, to, 1).into_bytes();
    let digest = r#""digest":"0000000000000000000000000000000000000000000000000000000000000000""#;
    let payload = |inner: &str| swap("\"prev\"", &format!("\"payloads\":{{{inner}}},\"prev\""));
    vec![
        ("white space", swap(",", ", ")),
        ("byte order mark", [b"\xef\xbb\xbf", plain.as_bytes()].concat()),
        ("bytes after the end", [plain.as_bytes(), b"\n"].concat()),
        ("cut off", plain.as_bytes()[..plain.len() - 1].to_vec()),
        ("nothing", Vec::new()),
        ("another version", swap("\"v\":1", "\"v\":2")),
        ("version as a text", swap("\"v\":1", "\"v\":\"1\"")),
        ("no version", swap(",\"v\":1", "")),
        ("fields out of order", swap("\"seq\":1,\"time\":5", "\"time\":5,\"seq\":1")),
        ("a field twice", swap("\"seq\":1", "\"seq\":1,\"seq\":1")),
        ("an unknown field", swap("\"prev\"", "\"note\":\"\",\"prev\"")),
        ("null", swap("\"prev\"", "\"parent\":null,\"prev\"")),
        ("no kind", swap("\"kind\":\"node.started\",", "")),
        ("upper case in a kind", swap("node.started", "Node.started")),
        ("an empty part in a kind", swap("node.started", "node..started")),
        ("upper-case hash", swap(&zeros, &"A".repeat(64))),
        ("short hash", swap(&zeros, &zeros[1..])),
        ("sequence from 0", swap("\"seq\":1", "\"seq\":0")),
        ("a gap", swap("\"seq\":1", "\"seq\":2")),
        ("a leading zero", swap("\"seq\":1", "\"seq\":01")),
        ("a sign", swap("\"seq\":1", "\"seq\":+1")),
        ("a broken chain", swap("\"prev\":\"0", "\"prev\":\"1")),
        ("a float", swap("\"time\":5", "\"time\":5.0")),
        ("an exponent", swap("\"time\":5", "\"time\":5e0")),
        ("negative zero", swap("\"time\":5", "\"time\":-0")),
        ("an unsafe integer", swap("\"time\":5", "\"time\":9007199254740992")),
        ("an empty id", swap("\"kind\"", "\"call\":\"\",\"kind\"")),
        ("a space in an id", swap("\"kind\"", "\"call\":\"a b\",\"kind\"")),
        ("an empty body", with("{}")),
        ("body as a list", with("[1]")),
        ("null in a body", with(r#"{"a":null}"#)),
        ("keys out of order", with(r#"{"b":1,"a":1}"#)),
        ("a key twice", with(r#"{"a":1,"a":1}"#)),
        ("a key outside ASCII", with(r#"{"ä":1}"#)),
        ("an escaped key", with(r#"{"\u0061":1}"#)),
        ("an escaped letter", with(r#"{"a":"\u0062"}"#)),
        ("an escaped solidus", with(r#"{"a":"\/"}"#)),
        ("an upper-case escape", with(r#"{"a":"\u001F"}"#)),
        ("a long escape of a newline", with(r#"{"a":"\u000a"}"#)),
        ("a raw control character", with("{\"a\":\"\u{1}\"}")),
        ("an escaped surrogate pair", with(r#"{"a":"\ud83e\udd80"}"#)),
        ("a lone surrogate", with(r#"{"a":"\ud83e"}"#)),
        (
            "bytes that are not UTF-8",
            [&with(r#"{"a":""#)[..14], &b"\xff\"},"[..], &plain.as_bytes()[1..]].concat(),
        ),
        ("a trailing comma", with(r#"{"a":1,}"#)),
        ("nine levels", with(&format!("{}1{}", "{\"a\":".repeat(9), "}".repeat(9)))),
        ("empty payloads", swap("\"prev\"", "\"payloads\":{},\"prev\"")),
        ("another algorithm", payload(&format!(r#""a":{{"alg":"md5","bytes":0,{digest}}}"#))),
        (
            "another word in kept",
            payload(&format!(r#""a":{{"alg":"sha256-salted","bytes":0,{digest},"kept":"full"}}"#)),
        ),
        ("negative length", payload(&format!(r#""a":{{"alg":"sha256-salted","bytes":-1,{digest}}}"#))),
        (
            "more in a commitment",
            payload(&format!(r#""a":{{"alg":"sha256-salted","bytes":0,{digest},"more":1}}"#)),
        ),
        ("too large", with(&format!("{{\"a\":\"{}\"}}", "x".repeat(61_440)))),
    ]
}

#[test]
fn what_is_no_event_is_refused_for_the_frozen_reason() {
    let made: Vec<_> = refused()
        .into_iter()
        .map(|(name, bytes)| {
            let refusal = Verifier::genesis().check(&bytes).expect_err(name);
            json!({"name": name, "bytes": hex(&bytes), "refusal": refusal.to_string()})
        })
        .collect();
    frozen("refused.json", &Json::Array(made));
}

#[test]
fn an_independent_program_agrees() {
    let script = folder().join("verify.py");
    match Command::new("python3").arg(&script).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => println!("skipped: no python3 ({error})"),
    }
}
