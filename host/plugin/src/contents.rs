//! What a file is, before anything is done with it.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// Largest component that is looked at, in bytes. A Python interpreter with its standard library is about 40 MiB.
pub const MAX_COMPONENT_BYTES: usize = 256 << 20;

/// Why bytes are not a component that can be used. Each says what was found; [`ContentError::hint`] what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Nothing at all.
    #[error("expected a WebAssembly component, found an empty file")]
    Empty,
    /// More than [`MAX_COMPONENT_BYTES`].
    #[error("expected a WebAssembly component of at most {MAX_COMPONENT_BYTES} bytes, found {size}")]
    TooLarge {
        /// Its size, in bytes.
        size: usize,
    },
    /// A core module without WASI.
    #[error("expected a WebAssembly component, found a core module")]
    CoreModule,
    /// A module built for the first WASI preview.
    #[error("expected a WebAssembly component, found a {} for WASI preview 1", if *.command { "program" } else { "module" })]
    Preview1 {
        /// It has a `_start`: a program rather than a library.
        command: bool,
    },
    /// WebAssembly text.
    #[error("expected a WebAssembly component in binary form, found WebAssembly text")]
    WebAssemblyText,
    /// WIT files packed as a component: types without code.
    #[error("expected a WebAssembly component, found a WIT package, which holds no code")]
    WitPackage,
    /// The file ends in the middle.
    #[error("the component is cut short: it ends at byte {at} inside a section")]
    Truncated {
        /// Where it ends.
        at: usize,
    },
    /// Neither 1 (modules) nor 0xd (components) after the magic bytes.
    #[error("expected a WebAssembly component of version 0xd, found version {version:#x}")]
    Version {
        /// What stands there.
        version: u32,
    },
    /// Something inside breaks the rules, or needs a feature that is switched off.
    #[error("not a valid component: {reason} (at byte {at:#x})")]
    Invalid {
        /// What the validator said.
        reason: String,
        /// Where.
        at: u64,
    },
    /// Exports that WIT cannot express.
    #[error("the component's exports cannot be described: {reason}")]
    NoWit {
        /// What the decoder said.
        reason: String,
    },
    /// Something else.
    #[error("expected a WebAssembly component, found {found}")]
    Other {
        /// What the first bytes look like.
        found: String,
    },
}

impl ContentError {
    /// The next step, for a person.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            ContentError::CoreModule => {
                Some("if it was made with wit-bindgen, `wasm-tools component new FILE -o OUT` makes a component of it")
            }
            ContentError::Preview1 { .. } => Some(
                "build for `wasm32-wasip2`, or run `wasm-tools component new FILE --adapt wasi_snapshot_preview1.wasm -o OUT`",
            ),
            ContentError::WebAssemblyText => Some("`wasm-tools parse FILE -o OUT` makes the binary form"),
            ContentError::WitPackage => Some("build a component that implements it"),
            ContentError::Truncated { .. } => Some("fetch or build it again"),
            ContentError::Empty | ContentError::Other { .. } => Some("name the `.wasm` file of a component"),
            _ => None,
        }
    }
}

/// Checks that `bytes` are a valid component of the features that the engine runs.
pub(crate) fn check(bytes: &[u8]) -> Result<(), ContentError> {
    if bytes.is_empty() {
        return Err(ContentError::Empty);
    }
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(ContentError::TooLarge { size: bytes.len() });
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(foreign(bytes));
    }
    let Some(version) = bytes.get(4..8).and_then(|v| v.try_into().ok()).map(u32::from_le_bytes) else {
        return Err(ContentError::Truncated { at: bytes.len() });
    };
    match version {
        1 => return Err(core_module(bytes)),
        0x1_000d => {}
        version => return Err(ContentError::Version { version }),
    }
    Validator::new_with_features(features()).validate_all(bytes).map(drop).map_err(|error| faulty(bytes, &error))
}

fn faulty(bytes: &[u8], error: &wasmparser::BinaryReaderError) -> ContentError {
    // The reader has no predicate for this; a test holds the wording.
    if error.message().contains("unexpected end") {
        return ContentError::Truncated { at: bytes.len() };
    }
    ContentError::Invalid { reason: error.message().to_owned(), at: error.offset() as u64 }
}

/// The pinned set, as the engine has it (a test compares the two).
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::default()
        .union(WasmFeatures::CM_MAP | WasmFeatures::CM_FIXED_LENGTH_LISTS)
        .difference(WasmFeatures::MEMORY64 | WasmFeatures::THREADS | WasmFeatures::EXCEPTIONS)
        .difference(WasmFeatures::GC | WasmFeatures::FUNCTION_REFERENCES | WasmFeatures::GC_TYPES)
}

fn core_module(bytes: &[u8]) -> ContentError {
    let (mut preview1, mut command) = (false, false);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::ImportSection(imports)) => {
                preview1 |= imports.into_imports().any(|import| {
                    import.is_ok_and(|import| matches!(import.module, "wasi_snapshot_preview1" | "wasi_unstable"))
                });
            }
            Ok(Payload::ExportSection(exports)) => {
                command |= exports.into_iter().any(|export| export.is_ok_and(|export| export.name == "_start"));
            }
            Ok(_) => {}
            Err(error) => return faulty(bytes, &error),
        }
    }
    if preview1 { ContentError::Preview1 { command } } else { ContentError::CoreModule }
}

fn foreign(bytes: &[u8]) -> ContentError {
    let known: &[(&[u8], &str)] = &[
        (b"\x7fELF", "a Linux program"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive"),
        (b"MZ", "a Windows program"),
        (b"#!", "a script"),
        (b"<", "a web page or XML"),
    ];
    // A part of the magic bytes is a component that was cut off at once.
    if b"\0asm".starts_with(bytes) {
        return ContentError::Truncated { at: bytes.len() };
    }
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"(module") || text.starts_with(b"(component") || text.starts_with(b";;") {
        return ContentError::WebAssemblyText;
    }
    if let Some((_, what)) = known.iter().find(|(magic, _)| text.starts_with(magic)) {
        return ContentError::Other { found: (*what).to_owned() };
    }
    let start = &bytes[..bytes.len().min(512)];
    // A character may be cut at the end of what is looked at.
    let is_text = match std::str::from_utf8(start) {
        Ok(text) => !text.contains('\0'),
        Err(error) => error.error_len().is_none() && !start.contains(&0),
    };
    let found = if is_text {
        "text".to_owned()
    } else {
        format!("bytes that begin with {:02x?}", &start[..start.len().min(4)])
    };
    ContentError::Other { found }
}
