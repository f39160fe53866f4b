//! Whose failures are PureMessage's: a configured name that the mail log never names is likely to be a typing error, and without
//! any the failures of all filters count as PureMessage's.

use crate::text::visible;

/// What to say of configured filters that are not among those that a mail log has named, or of several where none is
/// configured; nothing where it has named none, since then nothing was taken for another filter's.
pub fn doubt<'a>(configured: &[String], named: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let named: Vec<&str> = named.into_iter().collect();
    let missing: Vec<&str> = configured.iter().map(String::as_str).filter(|name| !named.contains(name)).collect();
    let list = |names: &[&str]| {
        let quoted: Vec<String> = names.iter().map(|name| format!("{:?}", visible(name))).collect();
        quoted.join(", ")
    };
    if configured.is_empty() && named.len() > 1 {
        return Some(format!(
            "the mail log names several filters: {}. Give PureMessage's name as --filter-name (filter_names): until then the \
             failures of all of them count as PureMessage's.",
            list(&named)
        ));
    }
    if named.is_empty() || missing.is_empty() {
        return None;
    }
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
        let said = doubt(&configured(&["PureMesage"]), ["PureMessage", "av\u{1b}[2J"]).unwrap();
        assert!(said.contains("PureMesage") && said.contains("PureMessage") && !said.contains('\u{1b}'), "{said}");
        assert_eq!(doubt(&configured(&["PureMessage"]), ["PureMessage"]), None);
        assert_eq!(doubt(&configured(&["PureMessage"]), []), None);
        assert_eq!(doubt(&[], ["PureMessage"]), None);
        let said = doubt(&[], ["PureMessage", "avscan"]).unwrap();
        assert!(said.contains(r#""PureMessage", "avscan""#), "{said}");
    }
}
