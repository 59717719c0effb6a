//! Enums whose values are words that the API, messages and the database share.

/// A word that is not in the vocabulary it should be from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of {vocabulary}")]
pub struct UnknownWord {
    /// What was given.
    pub word: String,
    /// What is possible.
    pub vocabulary: &'static str,
}

/// Declares an enum that is stored, sent and read as snake_case words.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All of them, in the contract's order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word that stands for it in the API, in messages and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::vocabulary::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::vocabulary::UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::vocabulary::UnknownWord { word: word.to_owned(), vocabulary: concat!($($word, " "),+) }),
                }
            }
        }
    };
}
pub(crate) use vocabulary;
