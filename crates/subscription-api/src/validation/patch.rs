//! JSON merge patch (RFC 7396): a field that is absent stays, `null` clears it, a value replaces it.

/// What a merge patch says of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field is absent: it stays as it is.
    Keep,
    /// The field is `null`: it is cleared.
    Clear,
    /// The field has this value from now on.
    Set(T),
}

impl<T> Patch<T> {
    /// Does it to `field`; `cleared` is what a cleared field holds.
    pub fn apply(self, field: &mut T, cleared: T) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = cleared,
            Self::Set(value) => *field = value,
        }
    }

    /// What a field that was empty holds then.
    #[must_use]
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Keep | Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// Does it to a field that may be empty.
    pub fn apply_to_option(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_null_and_value_differ() {
        for (patch, expected) in [(Patch::Keep, 1), (Patch::Clear, 10), (Patch::Set(5), 5)] {
            let mut field = 1;
            patch.apply(&mut field, 10);
            assert_eq!(field, expected);
        }
        for (patch, expected) in [(Patch::Keep, Some(1)), (Patch::Clear, None), (Patch::Set(5), Some(5))] {
            let mut field = Some(1);
            patch.apply_to_option(&mut field);
            assert_eq!(field, expected);
        }
    }
}
