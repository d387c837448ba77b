//! Lines are the same however the bytes come in, whole up to the cap, and nothing is lost.
#![no_main]

use cella_transport::stdio::{Frame, Lines};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Small, so that lines past it occur.
const LINE_MAX: usize = 64;

libfuzzer_sys::fuzz_target!(|input: (usize, &[u8])| {
    let (cut, stream) = input;
    let (first, second) = stream.split_at(cut % (stream.len() + 1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let whole = runtime.block_on(read(stream));
    assert_eq!(whole, runtime.block_on(read(first.chain(second))));
    let lines: Vec<_> = stream.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).collect();
    assert!(whole.len() <= lines.len());
});

/// Each frame as its bytes, or as the length of what was thrown away.
async fn read(source: impl AsyncRead + Unpin) -> Vec<Result<Vec<u8>, usize>> {
    let mut lines = Lines::with_max(source, LINE_MAX);
    let mut frames = Vec::new();
    while let Some(frame) = lines.next().await.expect("memory does not fail") {
        frames.push(match frame {
            Frame::Line(line) => {
                assert!(!line.is_empty() && line.len() <= LINE_MAX && !line.contains(&b'\n'));
                Ok(line.to_vec())
            }
            Frame::Overlong { head, bytes } => {
                assert!(head.len() <= bytes && bytes > LINE_MAX);
                Err(bytes)
            }
        });
    }
    frames
}
