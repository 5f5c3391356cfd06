//! Kinds of answers.
