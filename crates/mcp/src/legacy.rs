//! The legacy era, revisions 2024-11-05 to 2025-11-25: a handshake, sessions, requests in both directions.

mod handshake;
mod methods;
mod notices;
mod result;

pub use handshake::{
    Initialize, initialize_request, initialize_result, negotiate, read_initialize, read_initialize_result,
};
pub use methods::{knows, knows_from_server};
pub use notices::{cancelled, read_cancelled, read_level, read_uri, set_level_params, subscribe_params};
pub use result::{ask_to_legacy, error_to_legacy, item_to_legacy, result_to_legacy};
