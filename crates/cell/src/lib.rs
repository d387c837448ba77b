//! How does this kernel confine a program?
