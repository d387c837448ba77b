//! The tools of a node, as agents see them.

use cella_contract::Effect;
use cella_dialogue::ToolSpec;
use cella_pursuit::{Broken, CallOrder};
use futures_util::future::BoxFuture;

/// What a node offers to agents.
pub trait Tools: Send + Sync + 'static {
    /// Every tool of the catalogue, in its order, with what its contract says; and what is missing.
    fn offered(&self) -> BoxFuture<'_, Offers>;

    /// Makes a call, and puts it on record; see [`cella_pursuit::Host::call`].
    fn call(&self, order: CallOrder) -> BoxFuture<'_, Result<bool, Broken>>;
}

/// A list that says what is missing in it.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    /// Tools, in the catalogue's order.
    pub tools: Vec<Offer>,
    /// Servers that gave no list, and why.
    pub missing: Vec<(String, String)>,
}

/// One tool.
#[derive(Clone, Debug)]
pub struct Offer {
    /// As clients are offered it.
    pub spec: ToolSpec,
    /// The server that has it.
    pub server: String,
    /// Its name there.
    pub tool: String,
    /// What a call does to the world: the more cautious of contract and server.
    pub effect: Effect,
    /// The tool that takes a call back.
    pub undo: Option<String>,
    /// The tool that says whether it was done.
    pub probe: Option<String>,
}
