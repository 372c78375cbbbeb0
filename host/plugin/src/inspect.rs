//! What a component is, offers and wants, without running or compiling it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use wasmparser::{KnownCustom, Parser, Payload};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Function, FunctionKind, Resolve, WorldId, WorldItem};

use crate::contents::{self, ContentError};
use crate::imports::{ImportGroup, group};
use crate::names::{Export, tool_names};
use crate::{docs, schema, signature};

/// What is known of a component from its bytes alone. Travels as JSON from the jailed process that made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// The plugin's name, first part of its tools' names.
    pub plugin: String,
    /// Size of the component, in bytes.
    pub size: u64,
    /// `sha256:` and the hexadecimal digest of the component.
    pub digest: String,
    /// What the author says of the whole.
    pub description: Option<String>,
    /// Exports that can be called, in the component's order.
    pub tools: Vec<Tool>,
    /// Exports that cannot, and why.
    pub unsupported: Vec<UnsupportedExport>,
    /// What it imports, by what that means to a person.
    pub imports: Vec<ImportGroup>,
    /// What it was made with, as it says itself: `rustc 1.95.0`.
    pub toolchain: Vec<String>,
}

/// One export that can be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// The name for models: `^[a-zA-Z0-9_-]{1,64}$`.
    pub name: String,
    /// The name in the component.
    pub export: Export,
    /// WIT: `func(path: string) -> result<u64, string>`.
    pub signature: String,
    /// The author's doc comment.
    pub description: Option<String>,
    /// JSON Schema 2020-12 of the arguments: an object.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of the result. A `result`'s `err` is not part of it: it is an error of the tool.
    pub output_schema: Value,
}

/// An export that cannot be called yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsupportedExport {
    /// The name in the component.
    pub export: Export,
    /// WIT.
    pub signature: String,
    /// What stands in the way: `resource values are not supported yet`.
    pub reason: String,
}

/// Says what `bytes` are and offer. `plugin` becomes the first part of the tools' names.
///
/// Meant for a jailed process: it parses what anybody may have written.
///
/// # Errors
/// [`ContentError`]; never panics, whatever the bytes are.
pub fn inspect(plugin: &str, bytes: &[u8]) -> Result<Inspection, ContentError> {
    // The decoder is written for tools, where a panic on odd input is a bug report. Here it is one bad file: nothing
    // is shared with it but the bytes.
    catch_unwind(AssertUnwindSafe(|| look(plugin, bytes)))
        .unwrap_or_else(|_| Err(ContentError::NoWit { reason: "the decoder gave up on it".to_owned() }))
}

fn look(plugin: &str, bytes: &[u8]) -> Result<Inspection, ContentError> {
    contents::check(bytes)?;
    let (mut resolve, world) = match decode(&docs::hidden(bytes)) {
        Ok(DecodedWasm::Component(resolve, world)) => (resolve, world),
        Ok(DecodedWasm::WitPackage(..)) => return Err(ContentError::WitPackage),
        Err(error) => return Err(ContentError::NoWit { reason: format!("{error:#}") }),
    };
    let description = docs::inject(bytes, &mut resolve, world);
    let (mut tools, unsupported) = exports(&resolve, world);
    let pairs: Vec<_> = tools.iter().map(|tool| (plugin, &tool.export)).collect();
    let names = tool_names(&pairs);
    for (tool, name) in tools.iter_mut().zip(names) {
        tool.name = name;
    }
    let imports = resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key));
    Ok(Inspection {
        plugin: plugin.to_owned(),
        size: bytes.len() as u64,
        digest: digest(bytes),
        description: description.map(|text| text.trim().to_owned()),
        tools,
        unsupported,
        imports: group(imports),
        toolchain: toolchain(bytes),
    })
}

/// `sha256:` and the hexadecimal digest of `bytes`: how a component is named everywhere.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn exports(resolve: &Resolve, world: WorldId) -> (Vec<Tool>, Vec<UnsupportedExport>) {
    let (mut tools, mut unsupported) = (Vec::new(), Vec::new());
    let mut add = |interface: Option<String>, function: &Function| {
        let export = Export { interface, function: function.name.clone() };
        match tool(resolve, export.clone(), function) {
            Ok(tool) => tools.push(tool),
            Err(reason) => {
                let signature = signature::signature(resolve, function);
                unsupported.push(UnsupportedExport { export, signature, reason });
            }
        }
    };
    for (key, item) in &resolve.worlds[world].exports {
        match item {
            WorldItem::Function(function) => add(None, function),
            WorldItem::Interface { id, .. } => {
                let name = resolve.name_world_key(key);
                resolve.interfaces[*id].functions.values().for_each(|function| add(Some(name.clone()), function));
            }
            WorldItem::Type { .. } => {}
        }
    }
    (tools, unsupported)
}

fn tool(resolve: &Resolve, export: Export, function: &Function) -> Result<Tool, String> {
    match function.kind {
        FunctionKind::Freestanding => {}
        FunctionKind::AsyncFreestanding => return Err("asynchronous functions are not supported yet".to_owned()),
        _ => return Err("functions of a resource are not supported yet".to_owned()),
    }
    Ok(Tool {
        name: String::new(),
        export,
        signature: signature::signature(resolve, function),
        description: function.docs.contents.as_deref().map(|text| text.trim().to_owned()),
        input_schema: schema::arguments(resolve, function).map_err(|error| error.to_string())?,
        output_schema: schema::output(resolve, function).map_err(|error| error.to_string())?,
    })
}

/// Names from `producers` sections, each once.
fn toolchain(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        let Payload::CustomSection(section) = payload else { continue };
        let KnownCustom::Producers(fields) = section.as_known() else { continue };
        for field in fields.into_iter().map_while(Result::ok) {
            for value in field.values.into_iter().map_while(Result::ok) {
                let text = format!("{} {}", value.name, value.version).trim().to_owned();
                if !found.contains(&text) {
                    found.push(text);
                }
            }
        }
    }
    found
}
