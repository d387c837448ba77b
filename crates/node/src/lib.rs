//! How do the parts become one running process?
