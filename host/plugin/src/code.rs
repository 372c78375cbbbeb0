//! Compiled code: made in one process, loaded in another from a file that nobody can change any more.

use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::SealFlags;
use wasmtime::component::Component;

use crate::contents::{self, ContentError};
use crate::engine::Engine;

/// Seals that a file of compiled code must carry (fcntl(2), F_ADD_SEALS): content and size are final, and so are the
/// seals.
pub const SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// It is not a component, or not a valid one.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The compiler refused it.
    #[error("could not compile the component")]
    Compile(#[source] wasmtime::Error),
}

/// Why compiled code was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file's seals could not be read: it is not a memory file.
    #[error("compiled code must come in a sealed memory file")]
    NotSealable(#[source] rustix::io::Errno),
    /// Seals are missing, so somebody could still change the code.
    #[error("the file of compiled code lacks seals: {missing}")]
    Unsealed {
        /// Names of those that are missing.
        missing: String,
    },
    /// Made by another version, configuration or processor, or not compiled code at all.
    #[error("the compiled code does not fit this engine")]
    Unfit(#[source] wasmtime::Error),
}

/// Compiled code as bytes, on its way to the trusted half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledCode {
    /// What [`Code::load_sealed`] takes, once it lies in a sealed file.
    pub bytes: Vec<u8>,
}

/// Compiles a component, on all cores. Meant for a jailed process with limits: the compiler meets hostile input.
///
/// # Errors
/// [`CompileError`].
pub fn compile(engine: &Engine, component: &[u8]) -> Result<CompiledCode, CompileError> {
    contents::check(component)?;
    let bytes = engine.wasm.precompile_component(component).map_err(CompileError::Compile)?;
    Ok(CompiledCode { bytes })
}

/// Code that can be run. Cheap to clone.
#[derive(Clone)]
pub struct Code(pub(crate) Component);

impl Code {
    /// Compiles a component and keeps the code in this process: for a process that is jailed as a whole and ends after
    /// its call.
    ///
    /// # Errors
    /// [`CompileError`].
    pub fn compile_here(engine: &Engine, component: &[u8]) -> Result<Code, CompileError> {
        contents::check(component)?;
        Component::from_binary(&engine.wasm, component).map(Code).map_err(CompileError::Compile)
    }

    /// Maps compiled code from a sealed memory file. The caller got the file from the trusted half, which checked that
    /// the code is of our own compiler's making; this checks that it is still what was checked.
    ///
    /// The file is opened as `/proc/self/fd/N`: the kernel's name for this process's own descriptor, not a place in the
    /// file system.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load_sealed(engine: &Engine, file: impl AsFd) -> Result<Code, LoadError> {
        let file = file.as_fd();
        let seals = rustix::fs::fcntl_get_seals(file).map_err(LoadError::NotSealable)?;
        if !seals.contains(SEALS) {
            let missing = SEALS.difference(seals).iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
            return Err(LoadError::Unsealed { missing });
        }
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        #[expect(unsafe_code, reason = "precompiled code is trusted by wasmtime as it stands")]
        // SAFETY: `deserialize_file` asks for (1) bytes that `Engine::precompile_component` of this wasmtime made, and
        // (2) a file that does not change while it is mapped. (2) holds by the seals read above: with WRITE, GROW and
        // SHRINK no one can change content or size, with SEAL no one can lift that (fcntl(2)); `file` is borrowed, so
        // the descriptor names that file until the mapping is made. (1) is the caller's: only the trusted half makes
        // the memory files that reach this process, after comparing the code's keyed hash. Code of another version or
        // configuration is recognised by wasmtime's own header and refused.
        let component = unsafe { Component::deserialize_file(&engine.wasm, path) };
        component.map(Code).map_err(LoadError::Unfit)
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Code").field(&format_args!("{} bytes of text", self.0.text().len())).finish()
    }
}
