//! The ledger through the admin door.

use std::io::{self, Write};

use bytes::Bytes;
use cella_event::Seq;
use cella_history::{self as history, Checked};
use cella_ledger::ReadError;
use futures_util::stream;
use http::{Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};

use super::{Admin, Body, error, json_body};

/// Text gathered before a part of an export is sent.
const PART_BYTES: usize = 64 * 1024;

impl Admin {
    pub(super) async fn log(&self, method: &Method, question: &str, query: Option<&str>) -> Response<Body> {
        // What a client has seen the answer of is on record, but perhaps not on disk yet, where questions look.
        if let Err(error) = self.ledger.flush().await {
            tracing::debug!(%error, "a question is answered from what is on disk");
        }
        match question {
            "follow" => self.follow(query),
            "export" => self.export(query),
            "verify" if history::number(query, "progress") == Some(1) => self.verify(),
            "rebuild" if method == Method::POST => self.rebuild(),
            _ => {
                let whole = query.map_or_else(|| question.to_owned(), |q| format!("{question}?{q}"));
                match self.history.answer(&whole).await {
                    Ok(value) => json_body(StatusCode::OK, &value),
                    Err(e) => error(StatusCode::BAD_REQUEST, e.code(), &e.to_string(), &e.fix()),
                }
            }
        }
    }

    /// Events as they come, one JSON document a line, until the node begins to drain: who follows has no call that the
    /// drain should wait for.
    fn follow(&self, query: Option<&str>) -> Response<Body> {
        let count = history::number(query, "n").unwrap_or(0);
        let head = self.ledger.head().seq.0;
        let tail = self.ledger.tail(Seq(head.saturating_sub(count) + 1));
        let lines = stream::unfold(Some((tail, self.draining.clone())), |following| async move {
            let (mut tail, mut draining) = following?;
            let next = tokio::select! {
                biased;
                _begun_or_over = draining.wait_for(|begun| *begun) => return None,
                next = tail.next() => next,
            };
            match next {
                Ok(entry) => {
                    let line = format!("{}\n", history::event(&entry));
                    Some((Ok(Frame::data(Bytes::from(line))), Some((tail, draining))))
                }
                Err(ReadError::Closed) => None,
                // The stream breaks off, so that nobody takes its end for the end of the ledger.
                Err(error) => Some((Err(io::Error::other(error)), None)),
            }
        });
        streamed(StreamBody::new(lines).boxed_unsync())
    }

    /// The whole ledger in the exchange form. What breaks off breaks the answer off, and lacks its last line.
    fn export(&self, query: Option<&str>) -> Response<Body> {
        let payloads = history::number(query, "payloads") == Some(1);
        let history = self.history.clone();
        written(move |out| history.export(payloads, out).map_err(|e| io::Error::other(e.to_string())))
    }

    /// Progress as it is made and the answer at last, one JSON document a line. It goes on when nobody listens any more:
    /// half a table is of no use.
    fn rebuild(&self) -> Response<Body> {
        let history = self.history.clone();
        written(move |out| {
            let mut say = |value: &Value| writeln!(out, "{value}").and_then(|()| out.flush());
            let answer = history.rebuild(&mut |folded, of| {
                let _nobody_listens = say(&json!({ "folded": folded, "of": of })).is_err();
            });
            let answer = answer.unwrap_or_else(
                |e| json!({ "error": { "code": e.code(), "message": e.to_string(), "fix": e.fix() } }),
            );
            let _nobody_listens = say(&answer).is_err();
            Ok(())
        })
    }

    /// A check that says how far it is, one JSON document a line; the last line is the answer.
    fn verify(&self) -> Response<Body> {
        let history = self.history.clone();
        written(move |out| {
            let answer = history.verify(|Checked { events, of }| {
                // Who has left does not wait for the answer.
                let line = json!({ "progress": { "events": events, "of": of } });
                writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
            });
            writeln!(out, "{answer}")
        })
    }
}

/// Lines that are written by a thread that may block. When it fails, a last line says why, and the answer breaks off
/// instead of ending.
fn written(write: impl FnOnce(&mut Parts) -> io::Result<()> + Send + 'static) -> Response<Body> {
    let (send, receive) = tokio::sync::mpsc::channel::<io::Result<Bytes>>(4);
    tokio::task::spawn_blocking(move || {
        let mut out = Parts { send, held: Vec::new() };
        if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
            tracing::warn!(%error, "an answer broke off");
            let line = json!({ "error": { "message": error.to_string() } });
            let told = writeln!(out, "{line}").and_then(|()| out.flush());
            let _gone = told.is_err() || out.send.blocking_send(Err(error)).is_err();
        }
    });
    let parts = stream::unfold(receive, |mut receive| async move {
        let part = receive.recv().await?;
        if part.is_err() {
            // The connection is closed without more ado at an error; before it, what was said goes out.
            tokio::task::yield_now().await;
        }
        Some((part.map(Frame::data), receive))
    });
    streamed(StreamBody::new(parts).boxed_unsync())
}

struct Parts {
    send: tokio::sync::mpsc::Sender<io::Result<Bytes>>,
    held: Vec<u8>,
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PART_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let part = Bytes::from(std::mem::take(&mut self.held));
        if part.is_empty() {
            return Ok(());
        }
        self.send.blocking_send(Ok(part)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

pub(super) fn streamed(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let kind = http::HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_an_error_and_not_an_end() {
        let whole = written(|out| out.write_all(b"all of it")).into_body().collect().await;
        assert_eq!(whole.unwrap().to_bytes(), "all of it");
        let broken = written(|out| {
            out.write_all(b"half of it")?;
            Err(io::Error::other("the disk failed"))
        });
        let error = broken.into_body().collect().await.unwrap_err();
        assert!(error.to_string().contains("the disk failed"), "{error}");
    }
}
