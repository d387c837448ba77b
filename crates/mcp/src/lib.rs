//! What may be said? JSON-RPC and MCP of both eras as values: decode strictly, look at what must be routed,
//! checked and recorded, splice what must change, and leave every other byte alone. No I/O, no clock, no tokio.
//!
//! The eras are sibling modules (`legacy`, `modern`) over one envelope; conversions stand in one place.

pub mod ask;
mod cache;
mod capability;
pub mod codes;
mod decode;
mod encode;
mod facts;
mod header_params;
mod id;
pub mod legacy;
mod limits;
mod list;
mod log;
mod message;
mod meta;
pub mod modern;
mod object;
mod raw;
mod results;
mod revision;
mod scan;
pub mod sse;
pub mod state;
mod target;
mod text;
mod walk;

pub use ask::{AskProfile, has_capability, required_capability};
pub use cache::{CacheHints, CacheScope, TtlPlace};
pub use capability::{
    CARRIED_EXTENSIONS, carried_by_both, merge_server_capabilities, offers, own_client_capabilities,
};
pub use decode::{DecodeError, Flaw, Incoming, parse_batch};
pub use encode::{compact, one_line};
pub use facts::{ServerFacts, UnreadableFacts};
pub use header_params::{HEADER_PARAMS_MAX, HeaderParam, HeaderParams, InvalidHeaderParams};
pub use id::Id;
pub use limits::{
    BATCH_MAX, DEPTH_MAX, Duplicates, ID_BYTES_MAX, Limits, MESSAGE_BYTES_MAX, METHOD_BYTES_MAX, PARTS_MAX,
};
pub use list::{ListItem, ListKind, ListPage, NotAList, build_list, cursor, with_cursor};
pub use log::{LogLevel, UnknownLevel};
pub use message::{Message, Notification, Raw, Request, Response, RpcError};
pub use meta::{
    BadRun, META, RUN_BYTES_MAX, TraceContext, is_traceparent, progress_of, progress_token, run_of,
    trace_context, with_progress_of, with_progress_token, with_traceparent, without_progress_token,
};
pub use object::{Array, NotJson, Object, member, raw_json, raw_string};
pub use results::{is_error, result_type};
pub use revision::{Era, Revision};
pub use target::{Target, TargetKind, call_target, with_target};
