//! Enums whose variants are snake_case words in the API, in messages and in the database.
//!
//! One macro declares the enum together with its words, so that the three places cannot disagree.

/// An unknown word where a word of a vocabulary was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of {}", .vocabulary.join(", "))]
pub struct UnknownWord {
    /// The word that was read.
    pub word: String,
    /// All words of the vocabulary.
    pub vocabulary: &'static [&'static str],
}

/// Declares an enum whose variants are stored, sent and parsed as snake_case words.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All variants, in the contract's order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the word of this variant in the API, in messages and in the database.
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
                    _ => Err($crate::vocabulary::UnknownWord { word: word.to_owned(), vocabulary: &[$($word),+] }),
                }
            }
        }
    };
}
pub(crate) use vocabulary;
