//! Results: component values in, JSON out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value, json};
use wasmtime::component::Val;
use wasmtime::component::types::Type;

use crate::limits::JSON_VALUES;
use crate::schema::EXACT_INTEGER;

/// Why a result has no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WriteError {
    /// More single values than [`JSON_VALUES`].
    #[error("the result holds more than {JSON_VALUES} values")]
    TooMany,
    /// A resource or the like.
    #[error("the result holds a {0}, which has no JSON form")]
    NoForm(&'static str),
}

/// Writes `value` of type `ty` as JSON.
pub(crate) fn write(ty: &Type, value: &Val) -> Result<Value, WriteError> {
    let mut left = JSON_VALUES;
    Writer { left: &mut left }.value(ty, value)
}

struct Writer<'a> {
    left: &'a mut usize,
}

impl Writer<'_> {
    fn value(&mut self, ty: &Type, value: &Val) -> Result<Value, WriteError> {
        *self.left = self.left.checked_sub(1).ok_or(WriteError::TooMany)?;
        Ok(match (ty, value) {
            (_, Val::Bool(value)) => json!(value),
            (_, Val::S8(value)) => json!(value),
            (_, Val::U8(value)) => json!(value),
            (_, Val::S16(value)) => json!(value),
            (_, Val::U16(value)) => json!(value),
            (_, Val::S32(value)) => json!(value),
            (_, Val::U32(value)) => json!(value),
            (_, Val::S64(value)) if value.unsigned_abs() > EXACT_INTEGER => json!(value.to_string()),
            (_, Val::S64(value)) => json!(value),
            (_, Val::U64(value)) if *value > EXACT_INTEGER => json!(value.to_string()),
            (_, Val::U64(value)) => json!(value),
            (_, Val::Float32(value)) => float32(*value),
            (_, Val::Float64(value)) => float(*value),
            (_, Val::Char(value)) => json!(value),
            (_, Val::String(value)) => json!(value),
            (_, Val::Enum(name)) => json!(name),
            (_, Val::Flags(names)) => json!(names),
            (Type::List(list), Val::List(items)) if list.ty() == Type::U8 => {
                let bytes: Vec<u8> =
                    items.iter().filter_map(|item| if let Val::U8(b) = item { Some(*b) } else { None }).collect();
                json!(STANDARD.encode(bytes))
            }
            (Type::List(list), Val::List(items)) => self.items(&list.ty(), items)?,
            (Type::FixedLengthList(list), Val::FixedLengthList(items)) => self.items(&list.ty(), items)?,
            (Type::Map(map), Val::Map(pairs)) => self.map(&map.key(), &map.value(), pairs)?,
            (Type::Tuple(tuple), Val::Tuple(items)) => {
                let each = tuple.types().zip(items);
                Value::Array(each.map(|(ty, item)| self.value(&ty, item)).collect::<Result<_, _>>()?)
            }
            (Type::Record(record), Val::Record(fields)) => {
                let mut object = Map::new();
                for (field, (name, value)) in record.fields().zip(fields) {
                    object.insert(name.clone(), self.value(&field.ty, value)?);
                }
                Value::Object(object)
            }
            (Type::Variant(cases), Val::Variant(name, payload)) => {
                let ty = cases.cases().find(|case| case.name == name).and_then(|case| case.ty);
                match (ty, payload) {
                    (Some(ty), Some(payload)) => self.keyed(name, Some((&ty, payload)))?,
                    _ => json!(name),
                }
            }
            (Type::Option(_), Val::Option(None)) => Value::Null,
            (Type::Option(option), Val::Option(Some(value))) => match option.ty() {
                inner @ Type::Option(_) => self.keyed("some", Some((&inner, value)))?,
                inner => self.value(&inner, value)?,
            },
            (Type::Result(result), Val::Result(Ok(payload))) => self.side("ok", result.ok(), payload)?,
            (Type::Result(result), Val::Result(Err(payload))) => self.side("err", result.err(), payload)?,
            (_, Val::Resource(_)) => return Err(WriteError::NoForm("resource")),
            (_, Val::Future(_)) => return Err(WriteError::NoForm("future")),
            (_, Val::Stream(_)) => return Err(WriteError::NoForm("stream")),
            (_, Val::ErrorContext(_)) => return Err(WriteError::NoForm("error-context")),
            // A value is always of its function's type: wasmtime lifted it by that type.
            _ => return Err(WriteError::NoForm("value of another type")),
        })
    }

    fn items(&mut self, ty: &Type, items: &[Val]) -> Result<Value, WriteError> {
        Ok(Value::Array(items.iter().map(|item| self.value(ty, item)).collect::<Result<_, _>>()?))
    }

    fn map(&mut self, key: &Type, ty: &Type, pairs: &[(Val, Val)]) -> Result<Value, WriteError> {
        if *key != Type::String {
            let pairs = pairs.iter().map(|(k, v)| Ok(json!([self.value(key, k)?, self.value(ty, v)?])));
            return Ok(Value::Array(pairs.collect::<Result<_, _>>()?));
        }
        let mut object = Map::new();
        for (key, value) in pairs {
            if let Val::String(key) = key {
                object.insert(key.clone(), self.value(ty, value)?);
            }
        }
        Ok(Value::Object(object))
    }

    fn side(&mut self, name: &str, ty: Option<Type>, payload: &Option<Box<Val>>) -> Result<Value, WriteError> {
        self.keyed(name, ty.as_ref().zip(payload.as_deref()))
    }

    fn keyed(&mut self, name: &str, payload: Option<(&Type, &Val)>) -> Result<Value, WriteError> {
        let value = payload.map_or(Ok(Value::Null), |(ty, value)| self.value(ty, value))?;
        Ok(Value::Object(Map::from_iter([(name.to_owned(), value)])))
    }
}

fn float(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => json!("NaN"),
        None if value > 0.0 => json!("Infinity"),
        None => json!("-Infinity"),
    }
}

/// The shortest decimal that reads back as the same `f32`: `0.1`, not `0.10000000149011612`.
fn float32(value: f32) -> Value {
    float(if value.is_finite() { value.to_string().parse().unwrap_or(f64::from(value)) } else { f64::from(value) })
}
