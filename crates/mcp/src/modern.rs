//! The modern era, revision 2026-07-28: requests carry their own metadata, servers ask by results, changes come on a
//! listen stream.

mod discover;
mod errors;
mod headers;
mod input;
mod listen;
mod methods;
mod request;
mod result;

pub use discover::{discover_result, read_discover};
pub use errors::{
    Rejection, error_of_next_hop, error_to_modern, is_modern_error, missing_capability, supported_revisions,
    unknown_method, unsupported_version, url_elicitations,
};
pub use headers::{
    HEADER_METHOD, HEADER_NAME, HEADER_VERSION, check_headers, decode_value, encode_value, request_headers,
};
pub use input::{
    InputRequest, InputRequired, input_required, input_responses, read_input_required, request_state,
    with_input_responses, without_input_responses,
};
pub use listen::{
    ACKNOWLEDGED, ListenFilter, acknowledged, listen_params, listen_result, read_filter, subscription_id,
    with_subscription_id,
};
pub use methods::{Standing, is_cacheable, may_require_input, standing};
pub use request::{
    CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, PROTOCOL_VERSION, RequestMeta, SERVER_INFO, SUBSCRIPTION_ID,
    is_modern_request, strip_request_meta, with_request_meta,
};
pub use result::result_to_modern;
