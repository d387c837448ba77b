//! What is a fact, and how is it written so that it can be checked for ever?
