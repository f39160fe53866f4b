//! A configured name of PureMessage that the mail log never names is likely to be a typing error, and makes PureMessage's
//! failures another filter's.

use crate::text::visible;

/// What to say of configured filters that are not among those that a mail log has named; nothing where it has named none,
/// since then nothing was taken for another filter's.
pub fn unnamed<'a>(configured: &[String], named: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let named: Vec<&str> = named.into_iter().collect();
    let missing: Vec<&str> = configured.iter().map(String::as_str).filter(|name| !named.contains(name)).collect();
    if named.is_empty() || missing.is_empty() {
        return None;
    }
    let list = |names: &[&str]| {
        let quoted: Vec<String> = names.iter().map(|name| format!("{:?}", visible(name))).collect();
        quoted.join(", ")
    };
    Some(format!(
        "no line of the mail log names the filter {}; those that it names: {}. If one of them is PureMessage, give that \
         name as --filter-name (filter_names): until then its failures count as another filter's.",
        list(&missing),
        list(&named)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_never_occurs_is_said() {
        let configured = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let said = unnamed(&configured(&["PureMesage"]), ["PureMessage", "av\u{1b}[2J"]).unwrap();
        assert!(said.contains("PureMesage") && said.contains("PureMessage") && !said.contains('\u{1b}'), "{said}");
        assert_eq!(unnamed(&configured(&["PureMessage"]), ["PureMessage"]), None);
        assert_eq!(unnamed(&configured(&["PureMessage"]), []), None);
        assert_eq!(unnamed(&[], ["PureMessage"]), None);
    }
}
