//! Names compared as the most forgiving file system would.

use std::ffi::OsStr;

use unicode_normalization::UnicodeNormalization;

/// The form in which two names are equal when *some* file system takes them for one: canonical decomposition, case
/// folded, ignorable code points dropped (as ext4 and f2fs fold, and HFS+ before them).
///
/// A name that is not UTF-8 keeps its bytes apart by the replacement character, which no pattern holds.
pub(crate) fn fold(name: &OsStr) -> String {
    let text = name.to_string_lossy();
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Upper case first: `ſ` and `ß` only meet `s` and `ss` that way.
    let kept: String = text.nfd().filter(|c| !is_ignorable(*c)).collect();
    kept.to_uppercase().to_lowercase().nfd().filter(|c| !is_ignorable(*c)).collect()
}

/// Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties.txt).
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_one_name_meet_and_others_do_not() {
        for twin in [".GIT", ".gIt", ".g\u{200c}it", "\u{feff}.git", ".g\u{131}t"] {
            // Dotless i meets i by way of its capital: stricter than any file system, never looser.
            assert_eq!(fold(OsStr::new(twin)), ".git", "{twin:?}");
        }
        assert_eq!(fold(OsStr::new("hoo\u{212a}\u{17f}")), "hooks");
        assert_eq!(fold(OsStr::new("caf\u{e9}")), fold(OsStr::new("CAFE\u{301}")));
        for other in [".git2", "git", ".gi", ".git.", ".git "] {
            assert_ne!(fold(OsStr::new(other)), ".git", "{other:?}");
        }
    }
}
