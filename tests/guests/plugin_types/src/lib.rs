//! Gives every kind of value back.

use exports::test::types::echo::{Answer, Colour, Guest as Echo, Place, Rights};
use exports::test::types::things::{Guest as Things, GuestThing, Thing};

wit_bindgen::generate!({ path: "wit" });

struct Guest_;

type Nested = Result<Option<Vec<u16>>, String>;

impl Echo for Guest_ {
    fn booleans(value: bool) -> bool {
        value
    }

    fn signed8(value: i8) -> i8 {
        value
    }

    fn signed16(value: i16) -> i16 {
        value
    }

    fn signed32(value: i32) -> i32 {
        value
    }

    fn signed64(value: i64) -> i64 {
        value
    }

    fn unsigned8(value: u8) -> u8 {
        value
    }

    fn unsigned16(value: u16) -> u16 {
        value
    }

    fn unsigned32(value: u32) -> u32 {
        value
    }

    fn unsigned64(value: u64) -> u64 {
        value
    }

    fn float32(value: f32) -> f32 {
        value
    }

    fn float64(value: f64) -> f64 {
        value
    }

    fn character(value: char) -> char {
        value
    }

    fn text(value: String) -> String {
        value
    }

    fn bytes(value: Vec<u8>) -> Vec<u8> {
        value
    }

    fn numbers(value: Vec<u64>) -> Vec<u64> {
        value
    }

    fn places(value: Place) -> Place {
        value
    }

    fn answers(value: Answer) -> Answer {
        value
    }

    fn colours(value: Colour) -> Colour {
        value
    }

    fn right(value: Rights) -> Rights {
        value
    }

    fn pair(value: (String, u8)) -> (String, u8) {
        value
    }

    fn maybe(value: Option<u32>) -> Option<u32> {
        value
    }

    fn maybe_maybe(value: Option<Option<u32>>) -> Option<Option<u32>> {
        value
    }

    fn nested(value: Nested) -> (Nested,) {
        (value,)
    }

    fn divide(dividend: i32, divisor: i32) -> Result<i32, String> {
        dividend.checked_div(divisor).ok_or_else(|| format!("cannot divide {dividend} by {divisor}"))
    }

    fn check(good: bool) -> Result<(), ()> {
        if good { Ok(()) } else { Err(()) }
    }

    fn nothing() {}

    fn defaults(name: String, greeting: Option<String>) -> String {
        format!("{}, {name}", greeting.as_deref().unwrap_or("hello"))
    }
}

struct Named(String);

impl GuestThing for Named {
    fn new(name: String) -> Named {
        Named(name)
    }

    fn name(&self) -> String {
        self.0.clone()
    }
}

impl Things for Guest_ {
    type Thing = Named;

    fn make(name: String) -> Thing {
        Thing::new(Named(name))
    }

    fn plain() -> u32 {
        7
    }
}

impl Guest for Guest_ {
    fn add(a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }
}

export!(Guest_);
