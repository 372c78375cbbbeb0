//! A function's signature as WIT text, for people.

use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind};

/// `func(text: string, limit: option<u32>) -> result<u32, string>`.
pub(crate) fn signature(resolve: &Resolve, function: &Function) -> String {
    let params: Vec<_> =
        function.params.iter().map(|param| format!("{}: {}", param.name, name(resolve, &param.ty))).collect();
    let result = function.result.as_ref().map(|ty| format!(" -> {}", name(resolve, ty))).unwrap_or_default();
    format!("func({}){result}", params.join(", "))
}

fn name(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::U8 => "u8".into(),
        Type::U16 => "u16".into(),
        Type::U32 => "u32".into(),
        Type::U64 => "u64".into(),
        Type::S8 => "s8".into(),
        Type::S16 => "s16".into(),
        Type::S32 => "s32".into(),
        Type::S64 => "s64".into(),
        Type::F32 => "f32".into(),
        Type::F64 => "f64".into(),
        Type::Char => "char".into(),
        Type::String => "string".into(),
        Type::ErrorContext => "error-context".into(),
        Type::Id(id) => {
            let def = &resolve.types[*id];
            def.name.clone().unwrap_or_else(|| unnamed(resolve, &def.kind))
        }
    }
}

fn unnamed(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let of = |ty: &Type| name(resolve, ty);
    let or_blank = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), of);
    match kind {
        TypeDefKind::Type(inner) => of(inner),
        TypeDefKind::List(item) => format!("list<{}>", of(item)),
        TypeDefKind::FixedLengthList(item, len) => format!("list<{}, {len}>", of(item)),
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", of(key), of(value)),
        TypeDefKind::Option(inner) => format!("option<{}>", of(inner)),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", tuple.types.iter().map(of).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".into(),
            (Some(ok), None) => format!("result<{}>", of(ok)),
            (ok, err) => format!("result<{}, {}>", or_blank(ok), or_blank(err)),
        },
        TypeDefKind::Handle(Handle::Own(id)) => name(resolve, &Type::Id(*id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", name(resolve, &Type::Id(*id))),
        TypeDefKind::Future(inner) => {
            inner.as_ref().map_or_else(|| "future".into(), |ty| format!("future<{}>", of(ty)))
        }
        TypeDefKind::Stream(inner) => {
            inner.as_ref().map_or_else(|| "stream".into(), |ty| format!("stream<{}>", of(ty)))
        }
        kind => kind.as_str().into(),
    }
}
