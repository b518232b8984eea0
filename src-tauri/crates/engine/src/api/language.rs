//! The languages that everything is said in.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A language whose catalogues are complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum Language {
    /// English, for everybody whose language is none of these.
    #[default]
    En,
    /// German.
    De,
    /// Turkish.
    Tr,
}

impl Language {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::En, Self::De, Self::Tr];

    /// BCP 47 tag, and the name of the catalogue's file.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Tr => "tr",
        }
    }

    /// The system's: on Linux by `LANGUAGE`, `LC_ALL`, `LC_MESSAGES`, `LANG`, elsewhere the person's list in its settings.
    pub fn system() -> Self {
        Self::nearest(sys_locale::get_locales())
    }

    /// The first of somebody's languages that there is. They come as BCP 47 tags or POSIX locales (`de`, `de-AT`,
    /// `de_DE.UTF-8`); `C` and `POSIX` ask for the untranslated text.
    pub fn nearest(wanted: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let known = |locale: &str| {
            let language = locale.split(['-', '_', '.', '@']).next().unwrap_or_default();
            match language {
                "C" | "POSIX" => Some(Self::En),
                _ => Self::ALL.into_iter().find(|one| language.eq_ignore_ascii_case(one.tag())),
            }
        };
        wanted.into_iter().find_map(|locale| known(locale.as_ref())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_speaks_several_languages_gets_the_first_that_there_is() {
        let cases: [(&[&str], Language); 9] = [
            (&["de_DE.UTF-8"], Language::De),
            (&["de-AT", "en-US"], Language::De),
            (&["TR"], Language::Tr),
            (&["fr_FR", "tr_TR", "de_DE"], Language::Tr),
            (&["fr_FR.UTF-8"], Language::En),
            (&["C", "de_DE"], Language::En),
            // Not German, although it begins like it.
            (&["den", ""], Language::En),
            (&["de@euro"], Language::De),
            (&[], Language::En),
        ];
        for (wanted, found) in cases {
            assert_eq!(Language::nearest(wanted), found, "{wanted:?}");
        }
    }

    #[test]
    fn the_tag_is_the_name_that_the_windows_and_the_store_know() {
        for language in Language::ALL {
            assert_eq!(serde_json::to_value(language).ok(), Some(language.tag().into()));
        }
    }
}
