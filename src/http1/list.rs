//! Comma-separated lists and tokens, as RFC 9110 5.6 defines them.

use super::bytes::Class;

/// Whether `text` is a non-empty RFC 9110 token.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && Class::TOKEN.holds(text)
}

/// The elements of a list of tokens, without the blanks around them. Empty elements are skipped, as
/// RFC 9110 5.6.1.2 asks of recipients. (Not for lists whose elements may hold quoted commas.)
pub fn list(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(|element| element.trim_matches([' ', '\t']))
        .filter(|element| !element.is_empty())
}

/// Whether one of these lists holds `token`, in any case.
pub fn has_token<'b>(mut values: impl Iterator<Item = &'b str>, token: &str) -> bool {
    // Nearly always it is the whole list.
    values.any(|value| {
        value.eq_ignore_ascii_case(token)
            || list(value).any(|element| element.eq_ignore_ascii_case(token))
    })
}
