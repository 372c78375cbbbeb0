//! WASM components as tools: load, inspect, call. Owns no socket.
