//! A plugin that is ready: its code linked, its exports found, its tools named.

use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use crate::code::Code;
use crate::engine::Engine;
use crate::inspect::{Inspection, Tool};
use crate::names::Export;
use crate::state::State;

/// Why a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// It imports what this host does not offer.
    #[error("plugin `{plugin}` imports what this host does not offer: {}", .missing.join("; "))]
    Imports {
        /// The plugin.
        plugin: String,
        /// One sentence per import, with the nearest that is offered.
        missing: Vec<String>,
    },
    /// The imports are there but of another shape.
    #[error("plugin `{plugin}` does not fit this host")]
    Link {
        /// The plugin.
        plugin: String,
        /// What does not fit.
        source: wasmtime::Error,
    },
    /// Code and inspection are not of the same component.
    #[error("the code of plugin `{plugin}` has no export `{export}`: it was inspected from another file")]
    Mismatch {
        /// The plugin.
        plugin: String,
        /// The export.
        export: Export,
    },
}

/// A component that can be called. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Ready>);

struct Ready {
    engine: Engine,
    pre: InstancePre<State>,
    inspection: Inspection,
    functions: Vec<Callable>,
    by_name: HashMap<String, usize>,
}

/// What a call needs to know of one tool.
pub(crate) struct Callable {
    pub(crate) index: ComponentExportIndex,
    pub(crate) ty: ComponentFunc,
}

impl Plugin {
    /// Links `code` against the host. `inspection` is what [`crate::inspect`] said of the same component; it may have
    /// come from another process.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub fn prepare(engine: &Engine, code: &Code, inspection: Inspection) -> Result<Plugin, PrepareError> {
        let plugin = || inspection.plugin.clone();
        let missing: Vec<_> = inspection.imports.iter().flat_map(|group| group.missing.clone()).collect();
        let pre = match engine.linker.instantiate_pre(&code.0) {
            Ok(pre) => pre,
            Err(_) if !missing.is_empty() => return Err(PrepareError::Imports { plugin: plugin(), missing }),
            Err(source) => return Err(PrepareError::Link { plugin: plugin(), source }),
        };
        let mut functions = Vec::new();
        let mut by_name = HashMap::new();
        for tool in &inspection.tools {
            let callable = find(&code.0, &tool.export)
                .ok_or_else(|| PrepareError::Mismatch { plugin: plugin(), export: tool.export.clone() })?;
            // The WIT name works too, where it is not some tool's name.
            by_name.entry(tool.export.to_string()).or_insert(functions.len());
            functions.push(callable);
        }
        // The bare name of a function works where only one has it.
        let named = |function: &str| inspection.tools.iter().filter(|tool| tool.export.function == function).count();
        for (at, tool) in inspection.tools.iter().enumerate() {
            if named(&tool.export.function) == 1 {
                by_name.entry(tool.export.function.clone()).or_insert(at);
            }
        }
        for (at, tool) in inspection.tools.iter().enumerate() {
            by_name.insert(tool.name.clone(), at);
        }
        Ok(Plugin(Arc::new(Ready { engine: engine.clone(), pre, inspection, functions, by_name })))
    }

    /// What is known of the component.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.0.inspection
    }

    /// The tools it offers, in a stable order.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.0.inspection.tools
    }

    /// The tool called `name`: its tool name, its export as WIT names it, or its function's name where no other has it.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.0.by_name.get(name).map(|at| &self.0.inspection.tools[*at])
    }

    pub(crate) fn callable(&self, name: &str) -> Option<(&Tool, &Callable)> {
        self.0.by_name.get(name).map(|at| (&self.0.inspection.tools[*at], &self.0.functions[*at]))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn pre(&self) -> &InstancePre<State> {
        &self.0.pre
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.0.inspection.plugin).finish_non_exhaustive()
    }
}

fn find(component: &Component, export: &Export) -> Option<Callable> {
    let instance = match &export.interface {
        Some(interface) => Some(component.get_export_index(None, interface)?),
        None => None,
    };
    match component.get_export(instance.as_ref(), &export.function)? {
        (ComponentItem::ComponentFunc(ty), index) => Some(Callable { index, ty }),
        _ => None,
    }
}
