//! What a caller says happened, before the ledger gives it a place.

use crate::{
    CallId, EVENT_BYTES_MAX, EncodeError, Hash, Kind, Label, Map, Micros, PayloadRef, RunId, Seq, encode,
};

/// An event without sequence number, time and predecessor, which are the ledger's to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What happened.
    pub kind: Kind,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The call it belongs to.
    pub call: Option<CallId>,
    /// The call that caused this one.
    pub parent: Option<CallId>,
    /// Who acted.
    pub principal: Option<Label>,
    /// The server concerned.
    pub server: Option<Label>,
    /// The tool concerned, by the server's own name.
    pub tool: Option<Label>,
    /// Typed fields, by kind.
    pub body: Map,
}

/// A draft in canonical form, with three holes: predecessor, sequence number and time. What needs no order is done
/// before the ledger's lock is taken; [`Encoded::seal_into`] is a few copies.
#[derive(Clone, Debug)]
pub struct Encoded {
    bytes: Vec<u8>,
    prev_at: usize,
    seq_at: usize,
    time_at: usize,
}

/// Room for the three holes: 64 hex digits, 20 digits of sequence, 17 of time.
const HOLES_BYTES: usize = 64 + 20 + 17;

/// What most drafts fit, so that encoding allocates once.
const TYPICAL_BYTES: usize = 512;

// === impl Draft ===

impl Draft {
    /// A fact of this kind and nothing else yet.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            run: None,
            call: None,
            parent: None,
            principal: None,
            server: None,
            tool: None,
            body: Map::new(),
        }
    }

    /// Sets the run.
    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// Sets the call.
    #[must_use]
    pub fn call(mut self, call: CallId) -> Self {
        self.call = Some(call);
        self
    }

    /// Sets the call that caused this one.
    #[must_use]
    pub fn parent(mut self, parent: CallId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Sets who acted.
    #[must_use]
    pub fn principal(mut self, principal: Label) -> Self {
        self.principal = Some(principal);
        self
    }

    /// Sets the server.
    #[must_use]
    pub fn server(mut self, server: Label) -> Self {
        self.server = Some(server);
        self
    }

    /// Sets the tool.
    #[must_use]
    pub fn tool(mut self, tool: Label) -> Self {
        self.tool = Some(tool);
        self
    }

    /// Sets the typed fields.
    #[must_use]
    pub fn body(mut self, body: Map) -> Self {
        self.body = body;
        self
    }

    /// Encodes everything but the three holes. `payloads` must be sorted by name.
    ///
    /// # Errors
    /// [`EncodeError`] when the body is too large or too deep, or a payload stands twice or out of order.
    pub fn encode<'p>(
        &self,
        payloads: impl IntoIterator<Item = &'p PayloadRef>,
    ) -> Result<Encoded, EncodeError> {
        let mut out = Vec::with_capacity(TYPICAL_BYTES);
        out.push(b'{');
        if !self.body.is_empty() {
            out.extend_from_slice(b"\"body\":");
            encode::map(&mut out, &self.body, 0)?;
            out.push(b',');
        }
        text_field(&mut out, b"\"call\":", self.call.as_ref().map(CallId::as_str));
        text_field(&mut out, b"\"kind\":", Some(self.kind.as_str()));
        text_field(&mut out, b"\"parent\":", self.parent.as_ref().map(CallId::as_str));
        encode::payloads(&mut out, payloads)?;
        out.extend_from_slice(b"\"prev\":\"");
        let prev_at = out.len();
        out.extend_from_slice(b"\",");
        text_field(&mut out, b"\"principal\":", self.principal.as_ref().map(Label::as_str));
        text_field(&mut out, b"\"run\":", self.run.as_ref().map(RunId::as_str));
        out.extend_from_slice(b"\"seq\":");
        let seq_at = out.len();
        out.push(b',');
        text_field(&mut out, b"\"server\":", self.server.as_ref().map(Label::as_str));
        out.extend_from_slice(b"\"time\":");
        let time_at = out.len();
        out.push(b',');
        text_field(&mut out, b"\"tool\":", self.tool.as_ref().map(Label::as_str));
        out.extend_from_slice(b"\"v\":1}");
        let got = out.len() + HOLES_BYTES;
        if got > EVENT_BYTES_MAX {
            return Err(EncodeError::TooLarge { max: EVENT_BYTES_MAX, got });
        }
        Ok(Encoded { bytes: out, prev_at, seq_at, time_at })
    }
}

// === impl Encoded ===

impl Encoded {
    /// The most that [`Encoded::seal_into`] appends, in bytes.
    #[must_use]
    pub fn sealed_bytes_max(&self) -> usize {
        self.bytes.len() + HOLES_BYTES
    }

    /// Appends the canonical bytes to `out`, with the predecessor left as 64 zeros, and returns where in the appended
    /// bytes it is to be written (see [`Encoded::fill_prev`]). The one who gives sequence numbers need not wait for
    /// the hash of the event before.
    pub fn seal_into(&self, out: &mut Vec<u8>, seq: Seq, time: Micros) -> usize {
        out.extend_from_slice(&self.bytes[..self.prev_at]);
        out.extend_from_slice(&[b'0'; 64]);
        out.extend_from_slice(&self.bytes[self.prev_at..self.seq_at]);
        encode::unsigned(out, seq.0);
        out.extend_from_slice(&self.bytes[self.seq_at..self.time_at]);
        encode::int(out, time.0);
        out.extend_from_slice(&self.bytes[self.time_at..]);
        self.prev_at
    }

    /// Writes the predecessor into sealed canonical bytes at the place [`Encoded::seal_into`] returned. Does nothing
    /// when the place is not inside them.
    pub fn fill_prev(canonical: &mut [u8], prev_at: usize, prev: &Hash) {
        if let Some(hole) = canonical.get_mut(prev_at..prev_at + 64) {
            hole.copy_from_slice(&prev.to_hex());
        }
    }

    /// The whole canonical encoding at once.
    #[must_use]
    pub fn seal(&self, seq: Seq, time: Micros, prev: &Hash) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.sealed_bytes_max());
        let prev_at = self.seal_into(&mut out, seq, time);
        Self::fill_prev(&mut out, prev_at, prev);
        out
    }
}

fn text_field(out: &mut Vec<u8>, key: &[u8], value: Option<&str>) {
    if let Some(value) = value {
        out.extend_from_slice(key);
        encode::text(out, value);
        out.push(b',');
    }
}
