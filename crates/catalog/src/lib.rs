//! Which servers and tools are there, and which process answers for them?
