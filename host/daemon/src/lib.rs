//! The trusted half: store, events, supervisor, approvals, audit, model gateway.
