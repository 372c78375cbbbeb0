//! The walls: jail, file verbs, probes.
