//! Agent Skills: parse, validate, pack, unpack.
