//! Main of every part.
fn main() {}
