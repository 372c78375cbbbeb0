//! Arguments: JSON in, component values out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use wasmtime::component::Val;
use wasmtime::component::types::{ComponentFunc, Type};

/// An argument is not what the function takes. Printed as `` argument `/places/0/latitude`: expected a number, found
/// text "x" ``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("argument `{}`: expected {expected}, found {found}", if pointer.is_empty() { "/" } else { pointer })]
pub struct ArgumentError {
    /// Where, as a JSON Pointer (RFC 6901); empty for the arguments as a whole.
    pub pointer: String,
    /// What the function takes there.
    pub expected: String,
    /// What was given.
    pub found: String,
}

type Read<T> = Result<T, ArgumentError>;

/// Reads the arguments of `function` from one JSON object.
pub(crate) fn arguments(function: &ComponentFunc, value: &Value) -> Read<Vec<Val>> {
    let at = Pointer::root();
    let fields: Vec<_> = function.params().collect();
    let object = object(value, &at, "an object with the arguments")?;
    Ok(record(fields.iter().map(|(name, ty)| (*name, ty)), object, &at)?.into_iter().map(|(_, value)| value).collect())
}

/// A JSON Pointer that is only written out when something is wrong.
struct Pointer<'a> {
    parent: Option<&'a Pointer<'a>>,
    part: Part<'a>,
}

enum Part<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Pointer<'a> {
    fn root() -> Pointer<'static> {
        Pointer { parent: None, part: Part::Root }
    }

    fn key(&'a self, key: &'a str) -> Pointer<'a> {
        Pointer { parent: Some(self), part: Part::Key(key) }
    }

    fn index(&'a self, index: usize) -> Pointer<'a> {
        Pointer { parent: Some(self), part: Part::Index(index) }
    }

    fn write(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(out);
        }
        match self.part {
            Part::Root => {}
            Part::Key(key) => {
                out.push('/');
                out.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Part::Index(index) => out.push_str(&format!("/{index}")),
        }
    }

    fn expected(&self, expected: impl Into<String>, found: &Value) -> ArgumentError {
        self.fault(expected, shown(found))
    }

    fn fault(&self, expected: impl Into<String>, found: impl Into<String>) -> ArgumentError {
        let mut pointer = String::new();
        self.write(&mut pointer);
        ArgumentError { pointer, expected: expected.into(), found: found.into() }
    }
}

/// Longest piece of a wrong value that is shown, in characters.
const SHOWN: usize = 60;

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => format!("{value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > SHOWN => {
            format!("the text {:?}…", text.chars().take(SHOWN).collect::<String>())
        }
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(fields) => match fields.keys().next() {
            Some(key) if fields.len() == 1 => format!("an object with the key {key:?}"),
            _ => format!("an object with {} keys", fields.len()),
        },
    }
}

fn object<'v>(value: &'v Value, at: &Pointer<'_>, expected: &str) -> Read<&'v Map<String, Value>> {
    value.as_object().ok_or_else(|| at.expected(expected, value))
}

fn record<'t>(
    fields: impl Iterator<Item = (&'t str, &'t Type)>,
    object: &Map<String, Value>,
    at: &Pointer<'_>,
) -> Read<Vec<(String, Val)>> {
    let mut out = Vec::new();
    for (name, ty) in fields {
        let value = match (object.get(name), ty) {
            (Some(value), _) => read(ty, value, &at.key(name))?,
            (None, Type::Option(_)) => Val::Option(None),
            (None, _) => return Err(at.key(name).fault(describe(ty), "nothing")),
        };
        out.push((name.to_owned(), value));
    }
    if let Some(unknown) = object.keys().find(|key| !out.iter().any(|(name, _)| name == *key)) {
        let known: Vec<_> = out.iter().map(|(name, _)| format!("`{name}`")).collect();
        let expected = if known.is_empty() { "no fields".to_owned() } else { format!("only {}", known.join(", ")) };
        return Err(at.key(unknown).fault(expected, "a field of another name"));
    }
    Ok(out)
}

fn read(ty: &Type, value: &Value, at: &Pointer<'_>) -> Read<Val> {
    let wrong = || at.expected(describe(ty), value);
    Ok(match ty {
        Type::Bool => Val::Bool(value.as_bool().ok_or_else(wrong)?),
        Type::S8 => Val::S8(signed(value).and_then(|n| n.try_into().ok()).ok_or_else(wrong)?),
        Type::S16 => Val::S16(signed(value).and_then(|n| n.try_into().ok()).ok_or_else(wrong)?),
        Type::S32 => Val::S32(signed(value).and_then(|n| n.try_into().ok()).ok_or_else(wrong)?),
        Type::S64 => Val::S64(signed(value).or_else(|| text_integer(value)).ok_or_else(wrong)?),
        Type::U8 => Val::U8(unsigned(value).and_then(|n| n.try_into().ok()).ok_or_else(wrong)?),
        Type::U16 => Val::U16(unsigned(value).and_then(|n| n.try_into().ok()).ok_or_else(wrong)?),
        Type::U32 => Val::U32(unsigned(value).and_then(|n| n.try_into().ok()).ok_or_else(wrong)?),
        Type::U64 => Val::U64(unsigned(value).or_else(|| text_integer(value)).ok_or_else(wrong)?),
        Type::Float32 => Val::Float32(float(value).map(|n| n as f32).ok_or_else(wrong)?),
        Type::Float64 => Val::Float64(float(value).ok_or_else(wrong)?),
        Type::Char => {
            let mut chars = value.as_str().ok_or_else(wrong)?.chars();
            match (chars.next(), chars.next()) {
                (Some(one), None) => Val::Char(one),
                _ => return Err(wrong()),
            }
        }
        Type::String => Val::String(value.as_str().ok_or_else(wrong)?.to_owned()),
        Type::List(list) if list.ty() == Type::U8 => {
            let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok()).ok_or_else(wrong)?;
            Val::List(bytes.into_iter().map(Val::U8).collect())
        }
        Type::List(list) => Val::List(items(&list.ty(), value.as_array().ok_or_else(wrong)?, at)?),
        Type::FixedLengthList(list) => {
            let array = value.as_array().filter(|array| array.len() == list.len() as usize).ok_or_else(wrong)?;
            Val::FixedLengthList(items(&list.ty(), array, at)?)
        }
        Type::Tuple(tuple) => {
            let array = value.as_array().filter(|array| array.len() == tuple.types().len()).ok_or_else(wrong)?;
            let each = tuple.types().zip(array).enumerate();
            Val::Tuple(each.map(|(i, (ty, value))| read(&ty, value, &at.index(i))).collect::<Read<_>>()?)
        }
        Type::Record(fields) => {
            let fields: Vec<_> = fields.fields().map(|field| (field.name.to_owned(), field.ty)).collect();
            let object = value.as_object().ok_or_else(wrong)?;
            Val::Record(record(fields.iter().map(|(name, ty)| (name.as_str(), ty)), object, at)?)
        }
        Type::Map(map) => read_map(&map.key(), &map.value(), value, at)?,
        Type::Enum(cases) => {
            let name = value.as_str().filter(|name| cases.names().any(|case| case == *name)).ok_or_else(wrong)?;
            Val::Enum(name.to_owned())
        }
        Type::Flags(flags) => {
            let mut set = Vec::new();
            for (i, value) in value.as_array().ok_or_else(wrong)?.iter().enumerate() {
                let name = value.as_str().filter(|name| flags.names().any(|flag| flag == *name));
                let name = name.ok_or_else(|| at.index(i).expected(describe(ty), value))?;
                if !set.iter().any(|flag| flag == name) {
                    set.push(name.to_owned());
                }
            }
            Val::Flags(set)
        }
        Type::Variant(cases) => {
            let (name, payload) = named(value).ok_or_else(wrong)?;
            let case = cases.cases().find(|case| case.name == name).ok_or_else(wrong)?;
            Val::Variant(name.to_owned(), payload_of(case.ty.as_ref(), payload, &at.key(name))?)
        }
        Type::Option(_) if value.is_null() => Val::Option(None),
        Type::Option(option) => match option.ty() {
            inner @ Type::Option(_) => {
                let some = value.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("some"));
                Val::Option(Some(Box::new(read(&inner, some.ok_or_else(wrong)?, &at.key("some"))?)))
            }
            inner => Val::Option(Some(Box::new(read(&inner, value, at)?))),
        },
        Type::Result(result) => match named(value).ok_or_else(wrong)? {
            ("ok", payload) => Val::Result(Ok(payload_of(result.ok().as_ref(), payload, &at.key("ok"))?)),
            ("err", payload) => Val::Result(Err(payload_of(result.err().as_ref(), payload, &at.key("err"))?)),
            _ => return Err(wrong()),
        },
        Type::Own(_) | Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => return Err(wrong()),
    })
}

fn items(ty: &Type, array: &[Value], at: &Pointer<'_>) -> Read<Vec<Val>> {
    array.iter().enumerate().map(|(i, value)| read(ty, value, &at.index(i))).collect()
}

fn read_map(key: &Type, ty: &Type, value: &Value, at: &Pointer<'_>) -> Read<Val> {
    if *key == Type::String {
        let object = object(value, at, "an object")?;
        let pairs = object.iter().map(|(name, value)| Ok((Val::String(name.clone()), read(ty, value, &at.key(name))?)));
        return Ok(Val::Map(pairs.collect::<Read<_>>()?));
    }
    let wrong = |value| at.expected("an array of pairs of key and value", value);
    let pairs = value.as_array().ok_or_else(|| wrong(value))?.iter().enumerate().map(|(i, pair)| {
        let at = at.index(i);
        match pair.as_array().map(Vec::as_slice) {
            Some([name, value]) => Ok((read(key, name, &at.index(0))?, read(ty, value, &at.index(1))?)),
            _ => Err(at.expected("a pair of key and value", pair)),
        }
    });
    Ok(Val::Map(pairs.collect::<Read<_>>()?))
}

/// `"case"` or `{"case": value}`.
fn named(value: &Value) -> Option<(&str, Option<&Value>)> {
    match value {
        Value::String(name) => Some((name, None)),
        Value::Object(fields) if fields.len() == 1 => {
            fields.iter().next().map(|(name, value)| (name.as_str(), Some(value)))
        }
        _ => None,
    }
}

fn payload_of(ty: Option<&Type>, payload: Option<&Value>, at: &Pointer<'_>) -> Read<Option<Box<Val>>> {
    match (ty, payload) {
        (None, None | Some(Value::Null)) => Ok(None),
        (None, Some(value)) => Err(at.expected("no value", value)),
        (Some(ty), Some(value)) => Ok(Some(Box::new(read(ty, value, at)?))),
        (Some(Type::Option(_)), None) => Ok(Some(Box::new(Val::Option(None)))),
        (Some(ty), None) => Err(at.fault(describe(ty), "nothing")),
    }
}

/// Whole numbers, also when they are written `3.0` (JSON Schema counts those as integers).
fn signed(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| whole(value).map(|n| n as i64))
}

fn unsigned(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| whole(value).filter(|n| *n >= 0.0).map(|n| n as u64))
}

fn whole(value: &Value) -> Option<f64> {
    let number = value.as_f64().filter(|_| value.is_f64())?;
    (number.fract() == 0.0 && number.abs() <= crate::schema::EXACT_INTEGER as f64).then_some(number)
}

fn text_integer<T: std::str::FromStr>(value: &Value) -> Option<T> {
    // `parse` also takes a leading `+`, which is no JSON number and not in our schema.
    value.as_str().filter(|text| !text.starts_with('+'))?.parse().ok()
}

fn float(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => value.as_f64(),
    }
}

/// What a type takes, in words.
fn describe(ty: &Type) -> String {
    let list = |names: Vec<String>| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    match ty {
        Type::Bool => "true or false".into(),
        Type::S8 => "an integer from -128 to 127".into(),
        Type::U8 => "an integer from 0 to 255".into(),
        Type::S16 => format!("an integer from {} to {}", i16::MIN, i16::MAX),
        Type::U16 => format!("an integer from 0 to {}", u16::MAX),
        Type::S32 => format!("an integer from {} to {}", i32::MIN, i32::MAX),
        Type::U32 => format!("an integer from 0 to {}", u32::MAX),
        Type::S64 => format!("an integer from {} to {}, or its decimal text", i64::MIN, i64::MAX),
        Type::U64 => format!("an integer from 0 to {}, or its decimal text", u64::MAX),
        Type::Float32 | Type::Float64 => "a number, \"NaN\", \"Infinity\" or \"-Infinity\"".into(),
        Type::Char => "text of one character".into(),
        Type::String => "text".into(),
        Type::List(list) if list.ty() == Type::U8 => "bytes as base64 text".into(),
        Type::List(_) => "an array".into(),
        Type::FixedLengthList(list) => format!("an array of {}", list.len()),
        Type::Tuple(tuple) => format!("an array of {}", tuple.types().len()),
        Type::Record(record) => {
            format!("an object with {}", list(record.fields().map(|field| field.name.to_owned()).collect()))
        }
        Type::Map(_) => "a map".into(),
        Type::Enum(cases) => format!("one of {}", list(cases.names().map(str::to_owned).collect())),
        Type::Flags(flags) => format!("an array of {}", list(flags.names().map(str::to_owned).collect())),
        Type::Variant(cases) => {
            let names = cases.cases().map(|case| match case.ty {
                Some(_) => format!("{{{:?}: …}}", case.name),
                None => format!("{:?}", case.name),
            });
            format!("one of {}", names.collect::<Vec<_>>().join(", "))
        }
        Type::Option(option) => match option.ty() {
            Type::Option(_) => "null or {\"some\": …}".into(),
            inner => format!("{} or null", describe(&inner)),
        },
        Type::Result(_) => "{\"ok\": …} or {\"err\": …}".into(),
        Type::Own(_) | Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext => {
            "a value that has no JSON form".into()
        }
    }
}
