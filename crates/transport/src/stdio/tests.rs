use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};

use super::{Frame, Lines, Outbox, OutboxClosed};

async fn frames(input: &[u8], chunk: usize, max: usize) -> Vec<String> {
    let (mut near, far) = duplex(chunk);
    let input = input.to_vec();
    let writing = tokio::spawn(async move { near.write_all(&input).await });
    let mut lines = Lines::with_max(far, max);
    let mut seen = Vec::new();
    while let Some(frame) = lines.next().await.unwrap() {
        seen.push(match frame {
            Frame::Line(line) => String::from_utf8_lossy(line).into_owned(),
            Frame::Overlong { head, bytes } => format!("[{bytes}] {}", String::from_utf8_lossy(head)),
        });
    }
    writing.await.unwrap().unwrap();
    seen
}

#[tokio::test]
async fn lines_come_out_whole_however_the_bytes_arrive() {
    for chunk in [1, 3, 64] {
        assert_eq!(
            frames(b"{\"a\":1}\r\n\n  \n{\"b\":2}\n{\"c\":3}", chunk, 100).await,
            ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]
        );
    }
}

#[tokio::test]
async fn overlong_line_is_reported_and_the_next_one_is_read() {
    let mut input = vec![b'x'; 5000];
    input.extend_from_slice(b"\nshort\n");
    for chunk in [7, 8192] {
        let seen = frames(&input, chunk, 1000).await;
        assert_eq!(seen.len(), 2, "{chunk}");
        assert!(seen[0].starts_with("[5000] xxx"), "{}", seen[0]);
        assert_eq!(
            seen[0].len(),
            "[5000] ".len() + super::OVERLONG_HEAD_BYTES.min(if chunk == 7 { 1001 } else { 5000 })
        );
        assert_eq!(seen[1], "short");
    }
}

#[tokio::test]
async fn overlong_line_that_never_ends_takes_no_memory() {
    let (mut near, far) = duplex(64 * 1024);
    let writing = tokio::spawn(async move {
        for _ in 0..64 {
            near.write_all(&[b'y'; 64 * 1024]).await.unwrap();
        }
    });
    let mut lines = Lines::with_max(far, 4096);
    let frame = lines.next().await.unwrap();
    assert!(matches!(frame, Some(Frame::Overlong { bytes, .. }) if bytes == 64 * 64 * 1024), "{frame:?}");
    writing.await.unwrap();
    assert!(lines.next().await.unwrap().is_none());
}

/// Takes a few bytes at a time and refuses every other call.
#[derive(Clone, Default)]
struct Sluggish {
    written: Arc<Mutex<Vec<u8>>>,
    refused: bool,
}

impl AsyncWrite for Sluggish {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.refused = !self.refused;
        if self.refused {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = bytes.len().min(3);
        self.written.lock().unwrap().extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn messages_leave_whole_and_in_order_through_a_sluggish_pipe() {
    let sink = Sluggish::default();
    let (outbox, writer) = Outbox::new(Box::new(sink.clone()));
    let writing = tokio::spawn(writer);
    let mut expected = Vec::new();
    for n in 0..200_u32 {
        let message = format!("message {n}\n");
        expected.extend_from_slice(message.as_bytes());
        let sent =
            if n % 3 == 0 { outbox.send(message.as_bytes()) } else { outbox.send_now(message.as_bytes()) };
        sent.unwrap();
        if n % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    outbox.close();
    writing.await.unwrap().unwrap();
    assert_eq!(*sink.written.lock().unwrap(), expected);
    assert_eq!(outbox.send(b"late\n"), Err(OutboxClosed::Closed));
}

#[cfg(unix)]
#[tokio::test]
async fn the_reader_of_a_pipe_sees_its_end_although_senders_are_left() {
    let (sender, mut reader) = tokio::net::unix::pipe::pipe().unwrap();
    let (outbox, writer) = Outbox::new(Box::new(sender));
    let writing = tokio::spawn(writer);
    outbox.send(b"last\n").unwrap();
    outbox.close();
    let mut seen = Vec::new();
    reader.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, b"last\n");
    writing.await.unwrap().unwrap();
    assert_eq!(outbox.send(b"late\n"), Err(OutboxClosed::Closed));
}

#[tokio::test]
async fn direct_message_needs_no_writer_task() {
    let (mut near, far) = duplex(64);
    let (outbox, _writer) = Outbox::new(Box::new(far));
    let position = outbox.send_now(b"hello\n").unwrap();
    let mut seen = [0; 6];
    near.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"hello\n");
    assert!(outbox.has_left(position));
}

#[tokio::test]
async fn message_behind_a_full_pipe_has_not_left() {
    let (_near, far) = duplex(8);
    let (outbox, _writer) = Outbox::new(Box::new(far));
    let first = outbox.send_now(b"0123456789\n").unwrap();
    let second = outbox.send_now(b"next\n").unwrap();
    assert!(outbox.has_left(first));
    assert!(!outbox.has_left(second));
}

#[tokio::test]
async fn peer_that_never_reads_is_given_up_at_the_cap() {
    let (_near, far) = duplex(8);
    let (outbox, _writer) = Outbox::new(Box::new(far));
    let mebibyte = vec![b'z'; 1024 * 1024];
    let mut refused = None;
    for _ in 0..100 {
        if let Err(why) = outbox.send(&mebibyte) {
            refused = Some(why);
            break;
        }
    }
    assert_eq!(refused, Some(OutboxClosed::Full));
}
