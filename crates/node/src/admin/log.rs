//! The ledger through the admin door.

use std::io;

use bytes::Bytes;
use cella_event::Seq;
use futures_util::{Stream, stream};
use http::{Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Admin, Body, error, json_body};
use crate::history;

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
            "rebuild" if method == Method::POST => self.rebuild(),
            _ => {
                let whole = query.map_or_else(|| question.to_owned(), |q| format!("{question}?{q}"));
                match self.history.answer(&whole).await {
                    Ok(value) => json_body(StatusCode::OK, &value),
                    Err(e) => {
                        let fix = e.fix().unwrap_or_default();
                        error(StatusCode::BAD_REQUEST, e.code(), &e.to_string(), &fix)
                    }
                }
            }
        }
    }

    /// Events as they come, one JSON document a line.
    fn follow(&self, query: Option<&str>) -> Response<Body> {
        let count = history::number(query, "n").unwrap_or(0);
        let head = self.ledger.head().seq.0;
        let tail = self.ledger.tail(Seq(head.saturating_sub(count) + 1));
        let lines = stream::unfold(tail, |mut tail| async move {
            let entry = tail.next().await.ok()?;
            let line = format!("{}\n", history::event(&entry));
            Some((Ok::<_, io::Error>(Frame::data(Bytes::from(line))), tail))
        });
        streamed(StreamBody::new(lines).boxed_unsync())
    }

    /// Progress as it is made and the answer at last, one JSON document a line. It goes on when nobody listens any more:
    /// half a table is of no use.
    fn rebuild(&self) -> Response<Body> {
        let (history, (send, receive)) = (self.history.clone(), mpsc::channel::<Bytes>(4));
        tokio::task::spawn_blocking(move || {
            let say = |value: &Value| send.blocking_send(format!("{value}\n").into()).is_ok();
            let answer = history.rebuild(&mut |folded, of| {
                let _nobody_listens = say(&json!({ "folded": folded, "of": of }));
            });
            let answer = answer.unwrap_or_else(
                |e| json!({ "error": { "code": e.code(), "message": e.to_string(), "fix": e.fix() } }),
            );
            let _nobody_listens = say(&answer);
        });
        streamed(StreamBody::new(parts(receive)).boxed_unsync())
    }

    /// The whole ledger, one JSON document a line.
    fn export(&self, query: Option<&str>) -> Response<Body> {
        let payloads = history::number(query, "payloads") == Some(1);
        let (history, (send, receive)) = (self.history.clone(), mpsc::channel::<Bytes>(4));
        tokio::task::spawn_blocking(move || {
            let mut out = Parts { send, held: Vec::new() };
            let whole = history.export(payloads, &mut out).map_err(|e| e.to_string());
            if let Err(error) = whole.and_then(|()| io::Write::flush(&mut out).map_err(|e| e.to_string())) {
                tracing::warn!(%error, "an export broke off");
            }
        });
        streamed(StreamBody::new(parts(receive)).boxed_unsync())
    }
}

fn parts(receive: mpsc::Receiver<Bytes>) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send {
    stream::unfold(receive, |mut receive| async move {
        let part = receive.recv().await?;
        Some((Ok(Frame::data(part)), receive))
    })
}

struct Parts {
    send: mpsc::Sender<Bytes>,
    held: Vec<u8>,
}

impl io::Write for Parts {
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
        self.send.blocking_send(part).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

fn streamed(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let kind = http::HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}
