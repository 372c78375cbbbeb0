//! The agent loop, model wires, and the traits it stands on.
