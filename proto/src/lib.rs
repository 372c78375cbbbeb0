//! The gRPC contracts, generated.
