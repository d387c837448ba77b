//! What is an agent at this node? Agents' files become what a run is begun with, providers become models that can be asked, and runs
//! become answers for people: lists, sentences, replays, comparisons, backtests.
//!
//! Refuses to do: pursuing runs (`pursuit`), deciding (`kernel`), calling tools (the node's, by [`Tools`]).

mod agents;
mod api;
mod capability;
mod crew;
mod ears;
mod follow;
mod machine;
mod models;
mod offer;
mod pace;
mod rehearsal;
mod rights;
mod tariff;
mod terms;
mod told;
mod tools;
mod view;

pub use agents::{AgentError, Agents};
pub use api::{Api, ApiError, named};
pub use capability::{CAPABILITY, Capabilities, Granted};
pub use crew::Crew;
pub use ears::{Ear, Ears, Heard};
pub use follow::follow;
pub use machine::{RUNS_TESTED, compared, replayed, under_config, under_contract};
pub use models::{Keys, Models};
pub use offer::Listed;
pub use rehearsal::{Heard as HeardCall, answered, recalled, tape};
pub use rights::{NOT_ALLOWED, NotAllowed, PRINCIPAL, Rights};
pub use tariff::{NoList, PRICES_FILE, Quote, Tariff, host, table_of_list};
pub use terms::under_agreement;
pub use told::Teller;
pub use tools::{Offer, Offers, Tools};
pub use view::{RUNS_LISTED, list, show, status, told, whole};
