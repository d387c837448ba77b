//! What must hold for any input: the decoder never panics and agrees with `serde_json`, edits do what a map would do,
//! and streams mean the same in whatever pieces they arrive.

#![expect(clippy::unwrap_used, reason = "a test may panic; the lint only knows functions marked as tests")]

use std::collections::BTreeMap;

use cella_mcp::{
    Array, Duplicates, Limits, Message, Object, compact, modern, one_line, parse_batch, raw_json, sse,
    state::Digest,
};
use proptest::{
    arbitrary::any,
    collection::vec,
    option,
    prelude::{Just, Strategy},
    prop_assert, prop_assert_eq, prop_oneof, proptest,
    sample::{Index, select},
    string::string_regex,
};
use serde_json::{Value, value::RawValue};

/// Characters of which JSON is made, often enough to be nearly valid.
fn nearly_json() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            Just("{".to_owned()),
            Just("}".into()),
            Just("[".into()),
            Just("]".into()),
            Just(",".into()),
            Just(":".into()),
            Just("\"".into()),
            Just("\\".into()),
            Just("\"a\"".into()),
            Just("\"jsonrpc\":\"2.0\"".into()),
            Just("\\u00e9".into()),
            Just("\\ud800".into()),
            Just("\u{1}".into()),
            Just("é".into()),
            Just(" \n".into()),
            Just("-".into()),
            Just("0".into()),
            Just("1.5e+3".into()),
            Just("true".into()),
            Just("null".into()),
        ],
        0..24,
    )
    .prop_map(|parts| parts.concat())
}

/// Any JSON value as text, keys of one object distinct, in assorted spellings.
fn json() -> impl Strategy<Value = String> {
    let text = string_regex("[a-zé\"\\\\\n\u{1}😀 ]{0,12}").unwrap();
    let quoted = text.prop_map(|s| serde_json::to_string(&s).unwrap());
    let leaf = prop_oneof![
        quoted,
        any::<i64>().prop_map(|n| n.to_string()),
        Just("0.10000000000000000001".to_owned()),
        Just("1E400".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just(r#""\u0041\ud83d\ude00\/""#.to_owned()),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let space = prop_oneof![Just(""), Just(" "), Just("\n\t")];
        prop_oneof![
            (vec(inner.clone(), 0..6), space.clone())
                .prop_map(|(items, s)| { format!("[{s}{}{s}]", items.join(&format!("{s},{s}"))) }),
            (vec(inner, 0..6), space).prop_map(|(values, s)| {
                let members: Vec<_> =
                    values.iter().enumerate().map(|(n, v)| format!("\"k{n}\"{s}:{s}{v}")).collect();
                format!("{{{s}{}{s}}}", members.join(&format!("{s},{s}")))
            }),
        ]
    })
}

fn object() -> impl Strategy<Value = String> {
    vec(json(), 0..6).prop_map(|values| {
        let members: Vec<_> = values.iter().enumerate().map(|(n, v)| format!("\"k{n}\" : {v}")).collect();
        format!("{{{}}}", members.join(" , "))
    })
}

const STREAM_PARTS: &[&[u8]] = &[
    b"data: x",
    b"data:",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b": c",
    b"id: 7",
    b"id",
    b"event: e",
    b"retry: 5",
    b"\xef\xbb\xbf",
    b"\xff",
    b":",
];
const LOOSE: Limits = Limits { duplicates: Duplicates::RefusedInEnvelope, ..Limits::CLIENT };

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused_without_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Message::parse(&bytes, &Limits::CLIENT);
        let _ = parse_batch(&bytes, &Limits::SERVER);
    }

    #[test]
    fn the_decoder_and_serde_json_agree_on_what_is_json(text in nearly_json()) {
        let ours = match Message::parse(text.as_bytes(), &LOOSE) {
            Ok(_) => true,
            Err(error) => error.code() == -32600,
        };
        prop_assert_eq!(ours, serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
    }

    #[test]
    fn one_wrong_byte_in_a_message_never_panics_and_is_judged_as_serde_json_does(
        params in object(), at in any::<Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let ours = Message::parse(&bytes, &LOOSE).map_or_else(|e| e.code() == -32600, |_| true);
        let theirs = std::str::from_utf8(&bytes)
            .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_message_keeps_its_params_but_for_line_breaks(params in object()) {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
        let message = Message::parse(text.as_bytes(), &Limits::CLIENT).unwrap();
        let line = String::from_utf8(message.to_line()).unwrap();
        prop_assert_eq!(line.trim_end_matches('\n'), &*one_line(&text));
        prop_assert_eq!(line.matches(['\n', '\r']).count(), 1);
    }

    #[test]
    fn compact_text_means_the_same_and_has_no_space_between_tokens(text in json()) {
        let small = compact(&text);
        let same = compact(&small);
        prop_assert_eq!(&*same, &*small);
        let canonical = |t: &str| Digest::of_request("m", Some(&*raw_json(format!("{{\"v\":{t}}}")).unwrap()));
        prop_assert_eq!(canonical(&small), canonical(&text));
    }

    #[test]
    fn edits_do_what_a_map_would_do(
        source in object(), edits in vec((0..8_usize, option::of(json())), 0..8),
    ) {
        let raw = raw_json(source).unwrap();
        let mut model: BTreeMap<String, String> =
            serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(raw.get()).unwrap()
                .into_iter().map(|(k, v)| (k, v.get().to_owned())).collect();
        let mut object = Object::parse(&raw).unwrap();
        for (key, value) in edits {
            let key = format!("k{key}");
            if let Some(value) = value {
                object.set_json(&key, &value).unwrap();
                model.insert(key, value);
            } else {
                prop_assert_eq!(object.remove(&key), model.remove(&key).is_some());
            }
        }
        let written = object.to_raw();
        let found: BTreeMap<String, String> =
            serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(written.get()).unwrap()
                .into_iter().map(|(k, v)| (k, v.get().to_owned())).collect();
        prop_assert_eq!(found, model);
    }

    #[test]
    fn an_array_view_finds_the_elements_serde_json_finds(items in vec(json(), 0..6)) {
        let raw = raw_json(format!("[ {} ]", items.join(" ,"))).unwrap();
        let found: Vec<_> = Array::parse(&raw).unwrap().iter().map(str::to_owned).collect();
        prop_assert_eq!(found, items);
    }

    #[test]
    fn strings_are_read_as_serde_json_reads_them(text in any::<String>()) {
        let quoted = serde_json::to_string(&text).unwrap();
        let raw = raw_json(format!("{{\"s\":{quoted}}}")).unwrap();
        let mut object = Object::parse(&raw).unwrap();
        prop_assert_eq!(object.get_str("s"), Some(text.as_str().into()));
        object.set_str("t", &text);
        let written: BTreeMap<String, Value> = serde_json::from_str(object.to_raw().get()).unwrap();
        prop_assert_eq!(written["t"].as_str(), Some(text.as_str()));
    }

    #[test]
    fn any_value_survives_a_header(text in any::<String>()) {
        let header = modern::encode_value(&text);
        prop_assert!(header.bytes().all(|b| (b' '..=b'~').contains(&b)));
        prop_assert_eq!(header.trim(), &*header);
        prop_assert_eq!(modern::decode_value(&header), Some(text.as_str().into()));
    }

    #[test]
    fn any_header_is_decoded_or_refused_without_panic(text in any::<String>()) {
        let _ = modern::decode_value(&text);
        let _ = modern::decode_value(&format!("=?base64?{text}?="));
    }

    #[test]
    fn a_stream_means_the_same_in_any_pieces(
        stream in vec(select(STREAM_PARTS), 0..40),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let stream = stream.concat();
        let mut whole = sse::Decoder::default();
        let expected = whole.push(&stream).unwrap();
        let mut cuts: Vec<_> = cuts.iter().map(|c| c.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut pieces = sse::Decoder::default();
        let mut found = Vec::new();
        for cut in cuts.windows(2) {
            found.extend(pieces.push(&stream[cut[0]..cut[1]]).unwrap());
        }
        prop_assert_eq!(found, expected);
        prop_assert_eq!(pieces.last_event_id(), whole.last_event_id());
        prop_assert_eq!(pieces.retry_ms(), whole.retry_ms());
    }

    #[test]
    fn any_bytes_are_a_stream_and_written_events_come_back(
        noise in vec(any::<u8>(), 0..100), data in "[a-z\r\n:é]{1,40}",
    ) {
        let _ = sse::Decoder::new(50).push(&noise);
        let mut out = Vec::new();
        sse::Outgoing { data: Some(data.as_bytes()), id: Some("i"), ..Default::default() }.write(&mut out);
        let events = sse::Decoder::default().push(&out).unwrap();
        let expected = data.replace("\r\n", "\n").replace('\r', "\n");
        if expected.is_empty() {
            prop_assert!(events.is_empty());
        } else {
            prop_assert_eq!(String::from_utf8(events[0].data.clone()).unwrap(), expected);
        }
    }

    #[test]
    fn any_schema_is_searched_without_panic(schema in nearly_json(), valid in json()) {
        let _ = raw_json(schema).map(|raw| cella_mcp::HeaderParams::from_schema(&raw));
        let _ = cella_mcp::HeaderParams::from_schema(&raw_json(valid).unwrap());
    }
}
