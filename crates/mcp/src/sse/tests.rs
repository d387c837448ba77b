use super::*;

fn events(stream: &[u8]) -> Vec<(String, String)> {
    let read = |e: Event| (e.kind.into_string(), String::from_utf8(e.data).unwrap());
    Decoder::default().push(stream).unwrap().into_iter().map(read).collect()
}

fn message(data: &str) -> (String, String) {
    ("message".into(), data.into())
}

#[test]
fn every_line_end_and_a_byte_order_mark_are_understood() {
    for stream in [
        "data: a\n\ndata: b\n\n",
        "data: a\r\rdata: b\r\r",
        "data: a\r\n\r\ndata: b\r\n\r\n",
        "\u{feff}data: a\n\ndata:b\n\n",
    ] {
        assert_eq!(events(stream.as_bytes()), [message("a"), message("b")], "{stream:?}");
    }
}

#[test]
fn fields_mean_what_the_standard_says() {
    assert_eq!(events(b"data: a\ndata\ndata:  b\n\n"), [message("a\n\n b")]);
    assert_eq!(
        events(b": comment\nevent: endpoint\ndata: /m\nunknown: x\n\n"),
        [("endpoint".into(), "/m".into())]
    );
    assert_eq!(events(b"data: unfinished"), []);
    assert_eq!(events(b"event: x\n\ndata: a\n\n"), [message("a")], "the type does not outlive its event");
    assert_eq!(events(b":\n\n:\n\n"), []);
}

#[test]
fn priming_events_give_an_id_but_no_message() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.push(b"id: s_0\nretry: 500\ndata: \n\n").unwrap(), []);
    assert_eq!((decoder.last_event_id(), decoder.retry_ms()), (Some("s_0"), Some(500)));
    let found = decoder.push(b"data: x\n\nid: \x00bad\nretry: soon\nid: s_1\ndata: y\n\nid\n\n").unwrap();
    assert_eq!(found.iter().map(|e| e.id.as_deref()).collect::<Vec<_>>(), [Some("s_0"), Some("s_1")]);
    assert_eq!((decoder.last_event_id(), decoder.retry_ms()), (None, Some(500)));
}

#[test]
fn an_event_past_the_limit_ends_the_stream() {
    for stream in [&b"data: 0123456789"[..], b"data: 01\ndata: 23\ndata: 45\n", b"xxxxxxxxxxxxxxxxxxx"] {
        let mut decoder = Decoder::new(12);
        let refused = stream.chunks(5).find_map(|piece| decoder.push(piece).err());
        assert_eq!(refused, Some(SseError::TooLarge { max: 12 }), "{stream:?}");
        assert!(decoder.push(b"\n").is_err(), "it stays refused");
    }
    assert_eq!(Decoder::new(12).push(b"data: 0\n\ndata: 1\n\ndata: 2\n\n").unwrap().len(), 3);
}

#[test]
fn written_events_cannot_break_out_of_their_fields() {
    let mut out = Vec::new();
    let event = Outgoing {
        kind: Some("message\ndata: forged"),
        id: Some("1\r2"),
        retry_ms: Some(7),
        data: Some(b"a\nb"),
    };
    event.write(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "event: message\nid: 1\nretry: 7\ndata: a\ndata: b\n\n");
    let mut primer = Vec::new();
    Outgoing { id: Some("0"), data: Some(b""), ..Outgoing::default() }.write(&mut primer);
    assert_eq!(String::from_utf8(primer).unwrap(), "id: 0\ndata: \n\n");
}
