//! The directives in a token: `name=value,name="value"`, each name once. Borrows the token.

/// Most directives that are looked at; a genuine token has 12.
const MAX: usize = 32;

/// Names and values in their order.
#[derive(Debug)]
pub(super) struct Directives<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Directives<'a> {
    /// Reads a token. A quoted value may not have escapes, which no value of Spark's needs.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, &'static str> {
        let mut rest = std::str::from_utf8(token).map_err(|_| "Not UTF-8.")?;
        let mut found: Vec<(&str, &str)> = Vec::with_capacity(16);
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or("A directive has no value.")?;
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or("A quote has no end.")?,
                None => after.split_at(after.find(',').unwrap_or(after.len())),
            };
            let name = name.trim();
            if value.contains('\\') || name.is_empty() {
                return Err("A directive cannot be read.");
            }
            if found.iter().any(|(known, _)| *known == name) {
                return Err("A directive is there twice.");
            }
            if found.len() >= MAX {
                return Err("Too many directives.");
            }
            found.push((name, value));
            rest = match after.trim_start() {
                "" => "",
                after => after.strip_prefix(',').ok_or("A comma is missing.")?,
            };
        }
        Ok(Self(found))
    }

    /// The value of a directive.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    /// The value of a directive that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&'a str, &'static str> {
        self.get(name).ok_or("A directive is missing.")
    }
}
