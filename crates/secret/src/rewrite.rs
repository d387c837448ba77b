//! Values into requests: each placeholder of this cell becomes its value where [`decide`] permits it, and stops the
//! request everywhere else.

mod body;
mod form;
mod head;
mod json;

use std::sync::Arc;

use http::{HeaderMap, header};

pub use self::{body::BodyRewriter, head::Head};
use crate::{
    Binding, Facts, Permit, Place, PlaceholderIndex, Violation, decide,
    decide::excerpt,
    fold::Escapes,
    form::Form,
    sieve::Hit,
    sigv4::{self, KeyPair, Message, Payload},
};

/// Rewrites one request of one cell.
#[derive(Clone, Debug)]
pub struct Rewriter {
    gate: Arc<Gate>,
}

/// A value that was put into a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The secret.
    pub secret: String,
    /// Where it was put, in words.
    pub place: String,
}

/// What a hit is held against.
#[derive(Debug)]
struct Gate {
    index: PlaceholderIndex,
    cell: Arc<str>,
    bindings: Arc<[Binding]>,
    facts: Facts,
}

// === impl Rewriter ===

impl Rewriter {
    /// A rewriter for a request of `cell`, which has these bindings.
    #[must_use]
    pub fn new(index: PlaceholderIndex, cell: Arc<str>, bindings: Arc<[Binding]>, facts: Facts) -> Self {
        Self { gate: Arc::new(Gate { index, cell, bindings, facts }) }
    }

    /// Whether the request is signed with a bound pair of AWS keys, and then whether [`Rewriter::head`] needs the digest
    /// of its body.
    ///
    /// # Errors
    /// When it must not be signed.
    pub fn signs(&self, headers: &HeaderMap) -> Result<Option<Payload>, Violation> {
        let pair = KeyPair::of(&self.gate.bindings, &self.gate.facts, headers)?;
        let needs = |pair: KeyPair<'_>| sigv4::payload(headers).map_err(|why| pair.refused(why));
        pair.map(needs).transpose()
    }

    /// Rewrites the target (path and query) and the headers, and signs anew what is signed with a bound pair. Towards a
    /// host with bindings `Accept-Encoding` is narrowed to what answers can be scrubbed in. Nothing that a signature
    /// covers may be changed before or after. Headers change in place; after an error they must be thrown away. `body` is the SHA-256 of the body
    /// where [`Rewriter::signs`] asks for it.
    ///
    /// # Errors
    /// The first placeholder that stands where it must not.
    pub fn head(
        &self,
        target: &str,
        headers: &mut HeaderMap,
        body: Option<[u8; 32]>,
    ) -> Result<Head, Violation> {
        let gate = &self.gate;
        let pair = KeyPair::of(&gate.bindings, &gate.facts, headers)?;
        let cell = headers.clone();
        if gate.bound().next().is_some() {
            head::narrow(headers);
        }
        let Some(pair) = pair else { return head::rewrite(gate, target, headers) };
        let method = gate.facts.method.as_str();
        headers.remove(header::AUTHORIZATION);
        let mut head = head::rewrite(gate, target, headers)?;
        let sent = Message { method, target: &head.target, headers };
        let signed = sigv4::resign(pair, Message { method, target, headers: &cell }, sent, body)?;
        headers.insert(header::AUTHORIZATION, signed);
        let place = Place::SigV4.to_string();
        head.uses.extend(pair.secrets().map(|s| Use { secret: s.to_owned(), place: place.clone() }));
        Ok(head)
    }

    /// Begins with the body of a request that has these headers.
    ///
    /// # Errors
    /// When the body is compressed and the host has bindings.
    pub fn body(&self, headers: &HeaderMap) -> Result<BodyRewriter, Violation> {
        BodyRewriter::new(Arc::clone(&self.gate), headers)
    }

    /// Checks trailers, in which no secret may stand.
    ///
    /// # Errors
    /// The first placeholder.
    pub fn trailers(&self, trailers: &HeaderMap) -> Result<(), Violation> {
        head::none(&self.gate, trailers, "a trailer")
    }
}

// === impl Gate ===

impl Gate {
    /// Leave for a hit at a place in which these escapes are how things are written.
    fn permit(&self, hit: &Hit<'_>, place: &Place, usual: Escapes) -> Result<Permit<'_>, Violation> {
        let owner = self.index.owner(hit.subject);
        let own = (owner.cell == self.cell)
            .then(|| self.bindings.iter().find(|binding| binding.name() == &*owner.secret))
            .flatten();
        let Some(binding) = own else {
            return Err(Violation::Foreign { owner: excerpt(&owner.cell), got: place.to_string() });
        };
        let permit = decide(binding, &self.facts, place)?;
        let escaped = (hit.escapes.percent && !usual.percent) || (hit.escapes.json && !usual.json);
        if hit.form == Form::Raw && !escaped {
            return Ok(permit);
        }
        let form = match hit.form {
            Form::Raw if hit.escapes.json => Form::Json,
            Form::Raw => Form::Percent,
            other => other,
        };
        let secret = binding.name().to_owned();
        Err(Violation::Encoded { secret, got: place.to_string(), form: form.as_str() })
    }

    fn unfit(permit: Permit<'_>, place: &Place) -> Violation {
        Violation::Unfit { secret: permit.secret().to_owned(), got: place.to_string() }
    }

    /// The bindings that this request's host has.
    fn bound(&self) -> impl Iterator<Item = &Binding> {
        let host = self.facts.sni.as_ref().map(|sni| sni.to_ascii_lowercase());
        self.bindings.iter().filter(move |binding| host.as_ref().is_some_and(|host| binding.reaches(host)))
    }
}

// === impl Use ===

impl Use {
    fn of(permit: Permit<'_>, place: &Place) -> Self {
        Self { secret: permit.secret().to_owned(), place: place.to_string() }
    }
}

#[cfg(test)]
mod tests;
