//! A stream means the same in two pieces as in one, and never grows past its limit.
#![no_main]

use cella_mcp::sse::Decoder;

libfuzzer_sys::fuzz_target!(|input: (usize, &[u8])| {
    let (cut, stream) = input;
    let (first, second) = stream.split_at(cut % (stream.len() + 1));
    let whole = Decoder::new(4096).push(stream);
    let mut decoder = Decoder::new(4096);
    let pieces = decoder.push(first).and_then(|mut events| {
        events.extend(decoder.push(second)?);
        Ok(events)
    });
    assert_eq!(whole.is_ok(), pieces.is_ok());
    if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
        assert_eq!(whole, pieces);
    }
});
