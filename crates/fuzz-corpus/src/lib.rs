//! Nasty inputs and their mutations, for property tests of what reads outside bytes.
//!
//! A corpus is a text file in the tree, one input a line: what was found to be nasty is added to it and
//! stays. A property test takes inputs from a corpus and damages them as a fuzzer does: bits flipped,
//! pieces cut out, repeated, put in or exchanged with those of another input. Only development depends
//! on this crate.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Mutations of one input at most.
const MOST: usize = 6;
/// How often a piece is repeated at most: deep nesting and long runs come from it.
const MOST_REPEATS: usize = 3_000;
/// Longest piece that is cut out or repeated, in bytes.
const LONGEST_PIECE: usize = 40;
/// Largest input, in bytes: what is larger is cut off.
const LARGEST: usize = 300_000;

/// The inputs of a corpus: its lines, without empty ones and those that begin with `#`. `\xNN` stands
/// for a byte, everything else for itself.
///
/// # Panics
/// When a `\x` has no two hexadecimal digits: the corpus is part of the test.
#[must_use]
pub fn corpus(text: &str) -> Vec<Vec<u8>> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(unescaped).collect()
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut pieces = line.split("\\x");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits after \\x"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

/// An input. It shows itself as a line of a corpus, so that a failure can be kept there.
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

/// One damage to an input.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Cut(Index, usize),
    Repeat(Index, usize, usize),
    Insert(Index, Vec<u8>),
    /// The rest is that of another input.
    Splice(Index, Index),
}

/// Inputs of the corpus, whole or damaged; `tokens` are put in whole, such as the words of a format.
///
/// # Panics
/// When the corpus is empty.
pub fn mutated(corpus: Vec<Vec<u8>>, tokens: &'static [&'static str]) -> impl Strategy<Value = Input> {
    assert!(!corpus.is_empty(), "a corpus has inputs");
    let others = corpus.clone();
    (select(corpus), vec(mutation(tokens), 0..=MOST)).prop_map(move |(mut input, mutations)| {
        for mutation in mutations {
            mutation.apply(&mut input, &others);
            input.truncate(LARGEST);
        }
        Input(input)
    })
}

/// [`mutated`] as text: what is no UTF-8 is replaced.
///
/// # Panics
/// When the corpus is empty.
pub fn mutated_text(corpus: Vec<Vec<u8>>, tokens: &'static [&'static str]) -> impl Strategy<Value = String> {
    mutated(corpus, tokens).prop_map(|Input(bytes)| String::from_utf8_lossy(&bytes).into_owned())
}

fn mutation(tokens: &'static [&'static str]) -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    let piece = 1..LONGEST_PIECE;
    let token = select(if tokens.is_empty() { &["\0"] } else { tokens });
    prop_oneof![
        (at(), 0u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at(), piece.clone()).prop_map(|(at, length)| Mutation::Cut(at, length)),
        (at(), piece, prop_oneof![3 => 1..4usize, 1 => 1..MOST_REPEATS])
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
            Self::Cut(at, length) => drop(input.drain(range(at, *length, input.len()))),
            Self::Repeat(at, length, times) => {
                let range = range(at, *length, input.len());
                let piece = input[range.clone()].repeat(*times);
                input.splice(range.end..range.end, piece);
            }
            Self::Insert(at, bytes) => {
                let at = at.index(input.len() + 1);
                input.splice(at..at, bytes.iter().copied());
            }
            Self::Splice(at, other) => {
                let (at, other) = (at.index(input.len() + 1), other.get(others));
                input.truncate(at);
                input.extend_from_slice(&other[at.min(other.len())..]);
            }
        }
    }
}

fn range(at: &Index, length: usize, of: usize) -> std::ops::Range<usize> {
    let at = at.index(of + 1);
    at..(at + length).min(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_has_a_line_for_each_input() {
        assert_eq!(corpus("# said\n\na\\xffb\n{\"a\\n\":1}\n"), [&b"a\xffb"[..], b"{\"a\\n\":1}"]);
    }

    #[test]
    fn an_input_shows_itself_as_a_line_of_a_corpus() {
        let input = b"a\xff\n\xc3\xa4".to_vec();
        assert_eq!(corpus(&format!("{:?}", Input(input.clone()))), [input]);
    }

    proptest! {
        #[test]
        fn inputs_stay_bounded(input in mutated(vec![b"abc".to_vec(), Vec::new()], &["{"])) {
            prop_assert!(input.0.len() <= LARGEST);
        }
    }
}
