//! Colours for code: comments, strings, numbers and keywords. The pages need no script for them.

use std::fmt::Write as _;

/// Lexical rules of a language.
struct Language {
    /// Begins of comments that end with the line
    comments: &'static [&'static str],
    /// Whether `/*` begins a comment
    has_block_comments: bool,
    quotes: &'static [char],
    keywords: &'static [&'static str],
}

const C_COMMENTS: &[&str] = &["//"];
const HASH_COMMENTS: &[&str] = &["#"];

/// Returns the rules of a language by the extension of its files.
fn find_language(name: &str) -> Option<Language> {
    let (comments, has_block_comments, quotes, keywords): (_, _, &'static [char], &'static [&'static str]) =
        match name {
            "rs" | "rust" => (C_COMMENTS, true, &['"'], &RUST),
            "js" | "mjs" => (C_COMMENTS, true, &['"', '\'', '`'], &JAVASCRIPT),
            "php" => (&["//", "#"] as &[_], true, &['"', '\''], &PHP),
            "go" => (C_COMMENTS, true, &['"', '`'], &GO),
            "java" => (C_COMMENTS, true, &['"'], &JAVA),
            "cs" => (C_COMMENTS, true, &['"'], &CSHARP),
            "py" => (HASH_COMMENTS, false, &['"', '\''], &PYTHON),
            "rb" => (HASH_COMMENTS, false, &['"', '\''], &RUBY),
            "sh" | "yaml" | "toml" | "ini" => (HASH_COMMENTS, false, &['"', '\''], &[]),
            "json" => (&[] as &[_], false, &['"'], &["true", "false", "null"]),
            "sql" => (&["--"] as &[_], false, &['\''], &[]),
            _ => return None,
        };
    Some(Language { comments, has_block_comments, quotes, keywords })
}

const RUST: [&str; 24] = [
    "as", "async", "await", "const", "else", "enum", "fn", "for", "if", "impl", "in", "let", "loop", "match",
    "mod", "move", "mut", "pub", "return", "self", "struct", "use", "where", "while",
];
const JAVASCRIPT: [&str; 22] = [
    "async", "await", "catch", "const", "else", "export", "false", "for", "from", "function", "if", "import",
    "let", "new", "null", "of", "return", "throw", "true", "try", "typeof", "while",
];
const PHP: [&str; 26] = [
    "abstract",
    "as",
    "catch",
    "class",
    "const",
    "echo",
    "else",
    "exit",
    "extends",
    "false",
    "fn",
    "foreach",
    "function",
    "if",
    "namespace",
    "new",
    "null",
    "private",
    "public",
    "require",
    "return",
    "static",
    "true",
    "try",
    "use",
    "void",
];
const GO: [&str; 19] = [
    "break", "case", "const", "defer", "else", "for", "func", "go", "if", "import", "map", "nil", "package",
    "range", "return", "struct", "switch", "type", "var",
];
const JAVA: [&str; 24] = [
    "boolean",
    "byte",
    "catch",
    "class",
    "else",
    "extends",
    "final",
    "for",
    "if",
    "implements",
    "import",
    "int",
    "new",
    "null",
    "package",
    "private",
    "public",
    "return",
    "static",
    "this",
    "throws",
    "try",
    "var",
    "void",
];
const CSHARP: [&str; 20] = [
    "async",
    "await",
    "bool",
    "catch",
    "class",
    "else",
    "foreach",
    "if",
    "in",
    "namespace",
    "new",
    "null",
    "public",
    "return",
    "static",
    "string",
    "try",
    "using",
    "var",
    "void",
];
const PYTHON: [&str; 26] = [
    "and", "as", "async", "await", "class", "def", "elif", "else", "except", "False", "for", "from", "if",
    "import", "in", "is", "None", "not", "or", "raise", "return", "True", "try", "while", "with", "yield",
];
const RUBY: [&str; 21] = [
    "begin", "class", "def", "do", "else", "elsif", "end", "false", "if", "include", "module", "nil",
    "private", "require", "rescue", "return", "self", "true", "unless", "while", "yield",
];

/// Returns code as HTML. Code in an unknown language is escaped only.
pub(super) fn highlight(language: &str, code: &str) -> String {
    let Some(language) = find_language(language) else { return escape(code) };
    let mut html = String::with_capacity(code.len() * 2);
    let mut rest = code;
    while !rest.is_empty() {
        let (class, length) = next_token(&language, rest, html.is_empty() || code_before(code, rest));
        let (token, after) = rest.split_at(length);
        let text = escape(token);
        // Writing to a string cannot fail.
        let _ = match class {
            Some(class) => write!(html, "<span class=\"{class}\">{text}</span>"),
            None => write!(html, "{text}"),
        };
        rest = after;
    }
    html
}

/// Whether a word or a comment may begin here: the character before is a blank or a punctuation mark.
fn code_before(code: &str, rest: &str) -> bool {
    let before = code[..code.len() - rest.len()].chars().next_back();
    before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '$')
}

/// Returns the class and the length of the first token.
fn next_token(language: &Language, rest: &str, is_start: bool) -> (Option<&'static str>, usize) {
    let first = rest.chars().next().unwrap_or_default();
    let line = rest.find('\n').unwrap_or(rest.len());
    if language.comments.iter().any(|mark| rest.starts_with(mark)) && is_start && !rest.starts_with("#[") {
        return (Some("c"), line);
    }
    if language.has_block_comments && rest.starts_with("/*") {
        return (Some("c"), rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    if language.quotes.contains(&first) {
        return (Some("s"), string_length(rest, first));
    }
    if is_start && (first.is_ascii_alphanumeric() || first == '_') {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..length];
        if first.is_ascii_digit() {
            return (Some("n"), length);
        }
        return (language.keywords.contains(&word).then_some("k"), length);
    }
    (None, first.len_utf8())
}

/// Returns the length of a string with its quotes. A triple quote ends with three.
fn string_length(rest: &str, quote: char) -> usize {
    let triple: String = [quote; 3].iter().collect();
    if rest.starts_with(&triple) {
        return rest[3..].find(&triple).map_or(rest.len(), |end| end + 6);
    }
    let mut is_escaped = false;
    for (position, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return position + 1,
            _ => {}
        }
    }
    1
}

/// Escapes text for HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
