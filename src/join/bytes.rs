//! Bytes as a string of one character for each, so that any bytes come back and text stays short.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serializer, de};

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[u8]>, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    text.chars().map(|c| u8::try_from(c).map_err(|_| de::Error::custom("not a byte"))).collect()
}
