//! Typed access to the fields of a case. A field that is missing or of another type is a broken vector file and
//! panics with its name.

use serde_json::Value;

/// The fields of a case or of a message in it.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Value);

impl<'a> Fields<'a> {
    pub(super) fn value(self, name: &str) -> &'a Value {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no field {name} in {}", self.0))
    }

    pub(super) fn text(self, name: &str) -> &'a str {
        self.value(name)
            .as_str()
            .unwrap_or_else(|| panic!("{name} is no text"))
    }

    pub(super) fn i64(self, name: &str) -> i64 {
        self.value(name)
            .as_i64()
            .unwrap_or_else(|| panic!("{name} is no long"))
    }

    pub(super) fn i32(self, name: &str) -> i32 {
        i32::try_from(self.i64(name)).unwrap_or_else(|_| panic!("{name} is no int"))
    }

    pub(super) fn i8(self, name: &str) -> i8 {
        i8::try_from(self.i64(name)).unwrap_or_else(|_| panic!("{name} is no byte"))
    }

    pub(super) fn bool(self, name: &str) -> bool {
        self.value(name)
            .as_bool()
            .unwrap_or_else(|| panic!("{name} is no boolean"))
    }

    pub(super) fn bytes(self, name: &str) -> Vec<u8> {
        unhex(self.text(name))
    }

    pub(super) fn array(self, name: &str) -> &'a [Value] {
        self.value(name)
            .as_array()
            .unwrap_or_else(|| panic!("{name} is no array"))
    }

    pub(super) fn texts(self, name: &str) -> Vec<String> {
        self.array(name)
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    }

    pub(super) fn longs(self, name: &str) -> Vec<i64> {
        longs(self.value(name))
    }

    pub(super) fn ints(self, name: &str) -> Vec<i32> {
        ints(self.value(name))
    }

    pub(super) fn int_lists(self, name: &str) -> Vec<Vec<i32>> {
        self.array(name).iter().map(ints).collect()
    }
}

pub(super) fn longs(value: &Value) -> Vec<i64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_i64().unwrap())
        .collect()
}

pub(super) fn ints(value: &Value) -> Vec<i32> {
    longs(value)
        .into_iter()
        .map(|number| i32::try_from(number).unwrap())
        .collect()
}

pub(super) fn unhex(text: &str) -> Vec<u8> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty(), "an odd number of hex digits");
    pairs
        .iter()
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
