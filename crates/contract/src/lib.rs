//! What may a cell touch, and what do its tools promise?
