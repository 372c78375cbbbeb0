//! The one door out: allow list, resolve, check, pin, dial, TLS, header.
