//! JSON Schema (2020-12) and WIT text for the types of an export.
//!
//! The JSON is the one that [`crate::json`] reads and writes: what the schema accepts, a call accepts.

use serde_json::{Map, Value, json};
use wit_parser::{Docs, Function, Handle, Resolve, Type, TypeDefKind, TypeId};

/// Largest integer that JSON numbers carry exactly everywhere (2^53 - 1); beyond it 64-bit integers are decimal text.
pub(crate) const EXACT_INTEGER: u64 = (1 << 53) - 1;

/// Why a type has no JSON form yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} values are not supported yet")]
pub(crate) struct Unsupported {
    pub(crate) kind: &'static str,
}

/// The schema of a function's arguments: one object, a property per parameter.
pub(crate) fn arguments(resolve: &Resolve, function: &Function) -> Result<Value, Unsupported> {
    let mut object = Object::default();
    for param in &function.params {
        object.add(resolve, &param.name, &param.ty, None)?;
    }
    Ok(object.finish())
}

/// The schema of what a call gives: the value of a `result`'s `ok` (its `err` is an error of the tool), `null` where
/// there is none.
pub(crate) fn output(resolve: &Resolve, function: &Function) -> Result<Value, Unsupported> {
    let Some(ty) = &function.result else { return Ok(json!({"type": "null"})) };
    if let Some(TypeDefKind::Result(result)) = kind(resolve, ty) {
        if let Some(err) = &result.err {
            schema(resolve, err)?;
        }
        return result.ok.map_or(Ok(json!({"type": "null"})), |ok| schema(resolve, &ok));
    }
    schema(resolve, ty)
}

#[derive(Default)]
struct Object {
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl Object {
    fn add(&mut self, resolve: &Resolve, name: &str, ty: &Type, docs: Option<&Docs>) -> Result<(), Unsupported> {
        let mut property = schema(resolve, ty)?;
        describe(&mut property, docs);
        self.properties.insert(name.to_owned(), property);
        // An option may be left out: it is then `none`.
        if !is_option(resolve, ty) {
            self.required.push(json!(name));
        }
        Ok(())
    }

    fn finish(self) -> Value {
        let mut schema = json!({"type": "object", "properties": self.properties, "additionalProperties": false});
        if !self.required.is_empty() {
            schema["required"] = Value::Array(self.required);
        }
        schema
    }
}

/// The field's own words win over those of its type.
fn describe(schema: &mut Value, docs: Option<&Docs>) {
    if let Some(text) = docs.and_then(|docs| docs.contents.as_deref()) {
        schema["description"] = json!(text.trim());
    }
}

fn kind<'a>(resolve: &'a Resolve, ty: &Type) -> Option<&'a TypeDefKind> {
    match ty {
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Type(inner) => kind(resolve, inner),
            kind => Some(kind),
        },
        _ => None,
    }
}

pub(crate) fn is_option(resolve: &Resolve, ty: &Type) -> bool {
    matches!(kind(resolve, ty), Some(TypeDefKind::Option(_)))
}

fn schema(resolve: &Resolve, ty: &Type) -> Result<Value, Unsupported> {
    Ok(match ty {
        Type::Bool => json!({"type": "boolean"}),
        Type::U8 => integer(0, i64::from(u8::MAX)),
        Type::U16 => integer(0, i64::from(u16::MAX)),
        Type::U32 => integer(0, i64::from(u32::MAX)),
        Type::S8 => integer(i64::from(i8::MIN), i64::from(i8::MAX)),
        Type::S16 => integer(i64::from(i16::MIN), i64::from(i16::MAX)),
        Type::S32 => integer(i64::from(i32::MIN), i64::from(i32::MAX)),
        Type::U64 => json!({"anyOf": [{"type": "integer", "minimum": 0, "maximum": u64::MAX},
            {"type": "string", "pattern": "^[0-9]{1,20}$"}],
            "description": "integer; as decimal text beyond 2^53"}),
        Type::S64 => json!({"anyOf": [{"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX},
            {"type": "string", "pattern": "^-?[0-9]{1,19}$"}],
            "description": "integer; as decimal text beyond 2^53"}),
        Type::F32 | Type::F64 => json!({"anyOf": [{"type": "number"},
            {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]}),
        Type::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
        Type::String => json!({"type": "string"}),
        Type::ErrorContext => return Err(Unsupported { kind: "error-context" }),
        Type::Id(id) => defined(resolve, *id)?,
    })
}

fn integer(minimum: i64, maximum: i64) -> Value {
    json!({"type": "integer", "minimum": minimum, "maximum": maximum})
}

fn defined(resolve: &Resolve, id: TypeId) -> Result<Value, Unsupported> {
    let def = &resolve.types[id];
    let mut out = match &def.kind {
        TypeDefKind::Type(inner) => schema(resolve, inner)?,
        TypeDefKind::Record(record) => {
            let mut object = Object::default();
            for field in &record.fields {
                object.add(resolve, &field.name, &field.ty, Some(&field.docs))?;
            }
            object.finish()
        }
        TypeDefKind::Tuple(tuple) => {
            let items = tuple.types.iter().map(|ty| schema(resolve, ty)).collect::<Result<Vec<_>, _>>()?;
            array(items.len(), json!({"prefixItems": items, "items": false}))
        }
        TypeDefKind::List(Type::U8) => bytes(),
        TypeDefKind::List(item) => json!({"type": "array", "items": schema(resolve, item)?}),
        TypeDefKind::FixedLengthList(item, len) => array(*len as usize, json!({"items": schema(resolve, item)?})),
        TypeDefKind::Map(Type::String, value) => {
            json!({"type": "object", "additionalProperties": schema(resolve, value)?})
        }
        TypeDefKind::Map(key, value) => {
            let pair = json!({"prefixItems": [schema(resolve, key)?, schema(resolve, value)?], "items": false});
            json!({"type": "array", "items": array(2, pair), "description": "pairs of key and value"})
        }
        TypeDefKind::Option(inner) if is_option(resolve, inner) => {
            let some = case("some", Some(schema(resolve, inner)?), None);
            json!({"anyOf": [{"type": "null"}, some]})
        }
        TypeDefKind::Option(inner) => json!({"anyOf": [schema(resolve, inner)?, {"type": "null"}]}),
        TypeDefKind::Result(result) => {
            let side = |ty: &Option<Type>| ty.map_or(Ok(json!({"type": "null"})), |ty| schema(resolve, &ty));
            json!({"oneOf": [case("ok", Some(side(&result.ok)?), None), case("err", Some(side(&result.err)?), None)]})
        }
        TypeDefKind::Variant(variant) => {
            let mut cases = Vec::new();
            for item in &variant.cases {
                let payload = item.ty.map(|ty| schema(resolve, &ty)).transpose()?;
                cases.push(case(&item.name, payload, Some(&item.docs)));
            }
            json!({"oneOf": cases})
        }
        TypeDefKind::Enum(cases) if cases.cases.iter().all(|case| case.docs.is_empty()) => {
            json!({"type": "string", "enum": cases.cases.iter().map(|case| &case.name).collect::<Vec<_>>()})
        }
        TypeDefKind::Enum(cases) => {
            json!({"oneOf": cases.cases.iter().map(|item| case(&item.name, None, Some(&item.docs))).collect::<Vec<_>>()})
        }
        TypeDefKind::Flags(flags) => {
            let names: Vec<_> = flags.flags.iter().map(|flag| &flag.name).collect();
            json!({"type": "array", "items": {"type": "string", "enum": names}, "uniqueItems": true})
        }
        TypeDefKind::Resource => return Err(Unsupported { kind: "resource" }),
        TypeDefKind::Handle(Handle::Own(_) | Handle::Borrow(_)) => return Err(Unsupported { kind: "resource" }),
        TypeDefKind::Future(_) => return Err(Unsupported { kind: "future" }),
        TypeDefKind::Stream(_) => return Err(Unsupported { kind: "stream" }),
        TypeDefKind::Unknown => return Err(Unsupported { kind: "unknown" }),
    };
    describe(&mut out, Some(&def.docs));
    Ok(out)
}

fn bytes() -> Value {
    json!({"type": "string", "contentEncoding": "base64", "description": "bytes, as base64"})
}

fn array(len: usize, mut rest: Value) -> Value {
    rest["type"] = json!("array");
    rest["minItems"] = json!(len);
    rest["maxItems"] = json!(len);
    rest
}

/// A case without a value is its name; one with a value is an object with that one key.
fn case(name: &str, payload: Option<Value>, docs: Option<&Docs>) -> Value {
    let mut out = match payload {
        None => json!({"const": name}),
        Some(payload) => json!({"type": "object", "properties": {name: payload}, "required": [name],
            "additionalProperties": false}),
    };
    describe(&mut out, docs);
    out
}
