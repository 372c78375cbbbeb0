//! JSON to component values and back.
//!
//! | WIT | JSON |
//! |---|---|
//! | 64-bit integers | number; beyond 2^53 decimal text (both are read) |
//! | floats | number, or `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `list<u8>` | base64 text |
//! | record | object; fields of type option may be left out, unknown ones are refused |
//! | variant | `"case"`, or `{"case": value}` |
//! | enum, flags | name, list of names |
//! | option | the value or `null`; an option of an option: `null` or `{"some": inner}` |
//! | result inside a value | `{"ok": value}` or `{"err": value}` |
//! | tuple, list, list of fixed length | array |
//! | map | object for text keys, else array of pairs |

mod read;
mod write;

pub use read::ArgumentError;
pub(crate) use read::arguments;
pub(crate) use write::{WriteError, write};
