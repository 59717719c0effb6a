//! Corpora of hostile inputs, and their mutations, for property tests of code that parses outside bytes.
//!
//! A corpus is a text file in the tree with one input a line. When an input breaks a parser, its line is added to the
//! corpus and stays there, so that the fault cannot return unnoticed. [`parse_corpus`] reads such a file.
//!
//! [`mutated_inputs`] and [`mutated_texts`] are strategies for `proptest`. They choose inputs from a corpus and damage
//! them as a fuzzer does: flip bits, cut pieces out, repeat pieces, insert bytes or tokens of the format, or replace
//! the rest with the rest of another input. Only `[dev-dependencies]` refer to this crate, so no service contains it.
//!
//! A failing input prints itself as a line of a corpus (`Debug` of [`Input`]), so that it can be added as it stands.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Maximum number of mutations of one input.
const MAX_MUTATIONS: usize = 6;
/// Maximum number of repetitions of a piece.
///
/// It is high, because repetitions produce deep nesting and long runs.
const MAX_REPEATS: usize = 3_000;
/// Maximum size of a piece that is cut out or repeated.
const MAX_PIECE_BYTES: usize = 40;
/// Maximum size of a mutated input; longer ones are truncated.
const MAX_INPUT_BYTES: usize = 300_000;

/// Returns the inputs of a corpus: its lines, except empty lines and comments (`#`).
///
/// `\xNN` stands for a byte; every other character stands for itself.
///
/// # Panics
/// When `\x` is not followed by two hexadecimal digits, because the corpus is part of the test.
#[must_use]
pub fn parse_corpus(text: &str) -> Vec<Vec<u8>> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(unescape_line).collect()
}

fn unescape_line(line: &str) -> Vec<u8> {
    let mut pieces = line.split("\\x");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits after \\x"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

/// An input whose `Debug` form is a line of a corpus.
///
/// A failing test prints it, so that the line can be added to the corpus.
#[derive(Clone, PartialEq, Eq)]
pub struct Input(pub Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                if letter.is_control() {
                    write!(f, "\\x{:02x}", u32::from(letter))?
                } else {
                    write!(f, "{letter}")?
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// A change that damages an input.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Cut(Index, usize),
    Repeat(Index, usize, usize),
    Insert(Index, Vec<u8>),
    /// Replaces the rest with the rest of another input.
    Splice(Index, Index),
}

/// Generates inputs of the corpus, intact or damaged.
///
/// `tokens`, such as keywords of the format, are inserted whole.
///
/// # Panics
/// When the corpus is empty.
pub fn mutated_inputs(corpus: Vec<Vec<u8>>, tokens: &'static [&'static str]) -> impl Strategy<Value = Input> {
    assert!(!corpus.is_empty(), "the corpus has no inputs");
    let others = corpus.clone();
    (select(corpus), vec(any_mutation(tokens), 0..=MAX_MUTATIONS)).prop_map(move |(mut input, mutations)| {
        for mutation in mutations {
            mutation.apply(&mut input, &others);
            input.truncate(MAX_INPUT_BYTES);
        }
        Input(input)
    })
}

/// [`mutated_inputs`] as text; invalid UTF-8 is replaced.
///
/// # Panics
/// When the corpus is empty.
pub fn mutated_texts(corpus: Vec<Vec<u8>>, tokens: &'static [&'static str]) -> impl Strategy<Value = String> {
    mutated_inputs(corpus, tokens).prop_map(|Input(bytes)| String::from_utf8_lossy(&bytes).into_owned())
}

fn any_mutation(tokens: &'static [&'static str]) -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    let piece = 1..MAX_PIECE_BYTES;
    let token = select(if tokens.is_empty() { &["\0"] } else { tokens });
    prop_oneof![
        (at(), 0u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at(), piece.clone()).prop_map(|(at, length)| Mutation::Cut(at, length)),
        (at(), piece, prop_oneof![3 => 1..4usize, 1 => 1..MAX_REPEATS])
            .prop_map(|(at, length, times)| Mutation::Repeat(at, length, times)),
        (at(), vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at(), token).prop_map(|(at, token)| Mutation::Insert(at, token.as_bytes().to_vec())),
        (at(), at()).prop_map(|(at, other)| Mutation::Splice(at, other)),
    ]
}

impl Mutation {
    fn apply(&self, input: &mut Vec<u8>, others: &[Vec<u8>]) {
        match self {
            Self::Flip(..) if input.is_empty() => {}
            Self::Flip(at, bit) => *at.get_mut(input) ^= 1 << bit,
            Self::Cut(at, length) => drop(input.drain(piece_range(at, *length, input.len()))),
            Self::Repeat(at, length, times) => {
                let range = piece_range(at, *length, input.len());
                let piece = input[range.clone()].repeat(*times);
                input.splice(range.end..range.end, piece);
            }
            Self::Insert(at, bytes) => {
                let at = at.index(input.len() + 1);
                input.splice(at..at, bytes.iter().copied());
            }
            Self::Splice(at, other) => {
                let at = at.index(input.len() + 1);
                let other = other.get(others);
                input.truncate(at);
                input.extend_from_slice(&other[at.min(other.len())..]);
            }
        }
    }
}

fn piece_range(at: &Index, length: usize, of: usize) -> std::ops::Range<usize> {
    let at = at.index(of + 1);
    at..(at + length).min(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_corpus_is_an_input() {
        assert_eq!(parse_corpus("# said\n\na\\xffb\n{\"a\\n\":1}\n"), [&b"a\xffb"[..], b"{\"a\\n\":1}"]);
    }

    #[test]
    fn the_debug_form_of_an_input_is_a_line_of_a_corpus() {
        let input = b"a\xff\n\xc3\xa4".to_vec();
        assert_eq!(parse_corpus(&format!("{:?}", Input(input.clone()))), [input]);
    }

    proptest! {
        #[test]
        fn mutated_inputs_are_bounded(input in mutated_inputs(vec![b"abc".to_vec(), Vec::new()], &["{"])) {
            prop_assert!(input.0.len() <= MAX_INPUT_BYTES);
        }
    }
}
