//! Doc comments of WIT files inside components: the custom sections `package-docs`.
//!
//! Toolchains leave them out of the components they build; [`append_docs`] adds them. A section holds a version byte
//! and JSON, as `wit_parser::PackageMetadata` writes it, in two places:
//!
//! - `package-docs`: what other tools read. They apply it to the component's own synthetic package and refuse the
//!   whole component when it speaks of anything else, so it can describe the world and its functions only;
//! - `package-docs:NAMESPACE:NAME@VERSION`: everything in that package; other tools skip it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wasmparser::{Parser, Payload};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Docs, InterfaceId, PackageMetadata, Resolve, TypeDefKind, TypeId, WorldId, WorldItem, WorldKey};

/// Largest section that is read, in bytes.
const MAX_SECTION_BYTES: usize = 4 << 20;

/// Why a component could not be given its docs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The bytes are not a component.
    #[error("only a component can carry docs")]
    NotAComponent,
    /// It has a `package-docs` section already; a second one would make it unreadable.
    #[error("the component carries docs already")]
    AlreadyThere,
    /// The WIT files could not be read or parsed.
    #[error("could not read the WIT package in `{}`", .dir.display())]
    Wit {
        /// The folder.
        dir: PathBuf,
        /// What the parser said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Gives back `component` with the doc comments of the WIT package in `wit_dir` appended.
///
/// `wit_dir` holds the package's own `.wit` files and, below `deps/`, those it uses. Meant for build steps: it opens
/// the folder by path.
///
/// # Errors
/// [`AppendError`].
pub fn append_docs(component: &[u8], wit_dir: &Path) -> Result<Vec<u8>, AppendError> {
    if !Parser::is_component(component) {
        return Err(AppendError::NotAComponent);
    }
    if find(component).is_some() {
        return Err(AppendError::AlreadyThere);
    }
    let fault =
        |error: &dyn std::fmt::Display| AppendError::Wit { dir: wit_dir.to_owned(), source: error.to_string().into() };
    let mut wit = Resolve::default();
    let (package, _) = wit.push_dir(wit_dir).map_err(|error| fault(&format_args!("{error:#}")))?;
    let encode = |resolve: &Resolve, package| {
        PackageMetadata::extract(resolve, package).encode().map_err(|error| fault(&format_args!("{error:#}")))
    };
    let mut out = component.to_vec();
    append_section(&mut out, &format!("{OF_PACKAGE}{}", wit.packages[package].name), &encode(&wit, package)?);

    let Ok(DecodedWasm::Component(mut own, world)) = decode(component) else { return Err(AppendError::NotAComponent) };
    own.worlds[world].docs.contents = inject(&out, &mut own, world);
    if let Some(package) = own.worlds[world].package {
        append_section(&mut out, PackageMetadata::SECTION_NAME, &encode(&own, package)?);
    }
    Ok(out)
}

/// Start of the name of a section for one package.
const OF_PACKAGE: &str = "package-docs:";

fn append_section(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut body = Vec::new();
    leb128(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    // 0 is the id of custom sections in components as in core modules.
    out.push(0);
    leb128(out, body.len());
    out.extend_from_slice(&body);
}

fn leb128(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        out.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            return;
        }
    }
}

/// The section that says most: one for a package, else what other tools read, else nothing.
fn find(component: &[u8]) -> Option<&[u8]> {
    let mut plain = None;
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::CustomSection(section) if section.name().starts_with(OF_PACKAGE) => return Some(section.data()),
            Payload::CustomSection(section) if section.name() == PackageMetadata::SECTION_NAME => {
                plain.get_or_insert(section.data());
            }
            _ => {}
        }
    }
    plain
}

/// The component with its `package-docs` sections under another name: the decoder refuses a component whose section
/// does not fit, and words are no reason to refuse one.
pub(crate) fn hidden(component: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Cow::Borrowed(component);
    for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
        if let Payload::CustomSection(section) = payload
            && section.name() == PackageMetadata::SECTION_NAME
            && let Some(last) = section.data_offset().checked_sub(1)
        {
            // The data follows the name.
            out.to_mut()[last] = b'_';
        }
    }
    out
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Package {
    docs: Option<String>,
    worlds: HashMap<String, World>,
    interfaces: HashMap<String, Interface>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct World {
    docs: Option<String>,
    interfaces: HashMap<String, Interface>,
    interface_exports: HashMap<String, Interface>,
    types: HashMap<String, TypeDocs>,
    funcs: HashMap<String, FunctionDocs>,
    func_exports: HashMap<String, FunctionDocs>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Interface {
    docs: Option<String>,
    funcs: HashMap<String, FunctionDocs>,
    types: HashMap<String, TypeDocs>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TypeDocs {
    docs: Option<String>,
    items: HashMap<String, String>,
}

/// Version 0 wrote the text alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum FunctionDocs {
    Text(Option<String>),
    Full { docs: Option<String> },
}

impl FunctionDocs {
    fn text(&self) -> Option<&String> {
        match self {
            FunctionDocs::Text(docs) | FunctionDocs::Full { docs } => docs.as_ref(),
        }
    }
}

/// Puts the docs that `component` carries onto its exports in `resolve`; gives back those of the whole. A section that
/// cannot be read is no docs: they are only words.
pub(crate) fn inject(component: &[u8], resolve: &mut Resolve, world: WorldId) -> Option<String> {
    let section = find(component).filter(|section| section.len() <= MAX_SECTION_BYTES)?;
    let (version, text) = section.split_first()?;
    if *version > 1 {
        return None;
    }
    let package: Package = serde_json::from_slice(text).ok()?;
    let exports: Vec<_> = resolve.worlds[world].exports.clone().into_iter().collect();
    for (key, item) in exports {
        let name = match &key {
            WorldKey::Name(name) => name.clone(),
            WorldKey::Interface(id) => resolve.interfaces[*id].name.clone().unwrap_or_default(),
        };
        match item {
            WorldItem::Interface { id, .. } => inject_interface(&package, resolve, id, &name),
            WorldItem::Function(_) => {
                let found = package.worlds.values().find_map(|world| {
                    world.func_exports.get(&name).or_else(|| world.funcs.get(&name)).and_then(FunctionDocs::text)
                });
                if let (Some(text), Some(WorldItem::Function(function))) =
                    (found, resolve.worlds[world].exports.get_mut(&key))
                {
                    function.docs = docs(text);
                }
            }
            WorldItem::Type { id, .. } => {
                if let Some(found) = package.worlds.values().find_map(|world| world.types.get(&name)) {
                    inject_type(resolve, id, found);
                }
            }
        }
    }
    package.docs.or_else(|| package.worlds.into_values().find_map(|world| world.docs))
}

fn inject_interface(package: &Package, resolve: &mut Resolve, id: InterfaceId, name: &str) {
    let own = package.interfaces.get(name);
    let inline = || {
        let mut worlds = package.worlds.values();
        worlds.find_map(|world| world.interface_exports.get(name).or_else(|| world.interfaces.get(name)))
    };
    let Some(found) = own.or_else(inline) else { return };
    let interface = &mut resolve.interfaces[id];
    if let Some(text) = &found.docs {
        interface.docs = docs(text);
    }
    for (name, function) in &mut interface.functions {
        if let Some(text) = found.funcs.get(name).and_then(FunctionDocs::text) {
            function.docs = docs(text);
        }
    }
    let types: Vec<_> = interface.types.iter().map(|(name, id)| (name.clone(), *id)).collect();
    for (name, id) in types {
        // A type that this interface only uses is described where it is defined.
        let (defined, by) = original(resolve, id);
        let described = match by.filter(|by| *by != name.as_str()) {
            Some(_) => None,
            None => found.types.get(&name).or_else(|| package.interfaces.values().find_map(|i| i.types.get(&name))),
        };
        if let Some(described) = described {
            inject_type(resolve, defined, described);
        }
    }
}

/// The definition behind `use`, and its name there.
fn original(resolve: &Resolve, id: TypeId) -> (TypeId, Option<&str>) {
    match &resolve.types[id].kind {
        TypeDefKind::Type(wit_parser::Type::Id(inner)) => original(resolve, *inner),
        _ => (id, resolve.types[id].name.as_deref()),
    }
}

fn inject_type(resolve: &mut Resolve, id: TypeId, found: &TypeDocs) {
    let def = &mut resolve.types[id];
    if let Some(text) = &found.docs {
        def.docs = docs(text);
    }
    let each = |name: &str, slot: &mut Docs| {
        if let Some(text) = found.items.get(name) {
            *slot = docs(text);
        }
    };
    match &mut def.kind {
        TypeDefKind::Record(record) => record.fields.iter_mut().for_each(|item| each(&item.name, &mut item.docs)),
        TypeDefKind::Variant(variant) => variant.cases.iter_mut().for_each(|item| each(&item.name, &mut item.docs)),
        TypeDefKind::Enum(cases) => cases.cases.iter_mut().for_each(|item| each(&item.name, &mut item.docs)),
        TypeDefKind::Flags(flags) => flags.flags.iter_mut().for_each(|item| each(&item.name, &mut item.docs)),
        _ => {}
    }
}

fn docs(text: &str) -> Docs {
    Docs { contents: Some(text.to_owned()) }
}
