//! What happened, in order, durably?
