//! Codes of what ends or pauses a run; each has a page in `docs/errors`.

/// A limit of the agent is reached.
pub const LIMIT: &str = "CE1505";
/// A budget is used up.
pub const OVER_BUDGET: &str = "CE1506";
/// The model would not answer.
pub const MODEL_REFUSED: &str = "CE1507";
/// The final answer has the wrong shape, again and again.
pub const MISFIT: &str = "CE1508";
/// The final answer is cut off.
pub const CUT_SHORT: &str = "CE1509";
/// A call that the run which is rehearsed did not make.
pub const NOT_RECORDED: &str = "CE1511";
/// No model answered.
pub const NO_MODEL: &str = "CE1510";
