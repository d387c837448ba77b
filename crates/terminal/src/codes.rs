//! The codes of the command line's own errors, each with a page in `docs/errors`. What comes from the node, the
//! configuration or a package brings its own.

/// No node runs, or it went away.
pub const NOT_RUNNING: &str = "CE6001";
/// There is no access token, or the node does not know it.
pub const NO_TOKEN: &str = "CE6002";
/// What answered is not a node.
pub const NOT_A_NODE: &str = "CE6003";
/// A client's file is not what its name says.
pub const CLIENT_FILE: &str = "CE6004";
/// The server itself answered with an error.
pub const PEER: &str = "CE6005";
/// The arguments of a call are not a JSON object.
pub const ARGUMENTS: &str = "CE6006";
/// No answer in time.
pub const TIMED_OUT: &str = "CE6007";
/// No such client, or none on this machine.
pub const NO_CLIENT: &str = "CE6008";
/// A question, and nobody to answer it.
pub const NO_TERMINAL: &str = "CE6009";
/// The operating system refuses something to this program.
pub const SYSTEM: &str = "CE6010";
/// The command line makes no sense.
pub const USAGE: &str = "CE6011";
/// The server's name is taken, or there is none of that name.
pub const SERVER_NAME: &str = "CE6012";
/// Setup changed nothing that could be undone.
pub const NOTHING_TO_UNDO: &str = "CE6013";
/// The client wants a URL, and the node has none; or it takes none.
pub const NO_URL: &str = "CE6014";
/// No page for that code.
pub const NO_PAGE: &str = "CE6015";
/// A step of the demo did not do what it says.
pub const DEMO: &str = "CE6016";
/// A file in which no servers are found.
pub const NOTHING_TO_IMPORT: &str = "CE6017";
/// An answer that broke off.
pub const BROKE_OFF: &str = "CE6018";
/// A built-in server that is none, or whose client went away.
pub const BUILT_IN: &str = "CE6019";
/// The configuration cannot be edited as it is.
pub const NOT_EDITABLE: &str = "CE6020";
/// The node ended before it answered.
pub const NODE_ENDED: &str = "CE6021";
/// A secret that the configuration names is not taken out.
pub const SECRET_IN_USE: &str = "CE2420";
/// A variable that was named has no value.
pub const NO_SECRET: &str = "CE2421";
/// A line of a `.env` file that is none.
pub const ENV_FILE: &str = "CE2422";
/// What is named as a contract is none.
pub const NO_CONTRACT: &str = "CE6022";
/// A program was ended by its contract's time limit.
pub const TIME_LIMIT: &str = "CE6023";
/// A contract file that would be written is there already.
pub const CONTRACT_THERE: &str = "CE6026";
/// A server that runs in no cell here.
pub const NO_CELL: &str = "CE6024";
/// The node that a client needs did not start.
pub const NOT_STARTED: &str = "CE6025";
/// A table of prices cannot be read or written.
pub const PRICES: &str = "CE6027";
/// Nobody knows what a model costs.
pub const NO_PRICE: &str = "CE6028";
