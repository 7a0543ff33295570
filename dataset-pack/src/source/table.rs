//! Names of images and their classes in lines of text: with tabs, commas or blanks, quotes, a header.

use std::borrow::Cow;
use std::collections::HashSet;

use super::layout::is_split;
use crate::pixels::decode::is_named_like_an_image;

/// What a text tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Table<'a> {
    /// A class a line.
    Classes(Vec<&'a str>),
    /// The name of an image and its class.
    Pairs(Vec<Pair<'a>>),
}

/// The name of an image and its class.
pub(crate) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// What may be known of names and classes before the text is read.
pub(crate) struct Known<'a> {
    /// Whether there is an image of this name.
    pub(crate) image: &'a dyn Fn(&str) -> bool,
    /// Whether there is a class of this name, if they are given.
    pub(crate) class: Option<&'a dyn Fn(&str) -> bool>,
}

/// So many lines are looked at to find out what the columns are.
const SAMPLE: usize = 2000;

/// What stands above the names of images, and above classes, best first; without signs, in small letters.
const NAMES: [&str; 22] = [
    "image",
    "images",
    "imageid",
    "imagename",
    "imagepath",
    "img",
    "imgname",
    "imgid",
    "imgpath",
    "file",
    "files",
    "filename",
    "filenames",
    "filepath",
    "path",
    "paths",
    "name",
    "id",
    "ids",
    "key",
    "photo",
    "picture",
];
const CLASSES: [&str; 22] = [
    "label",
    "labels",
    "class",
    "classes",
    "category",
    "target",
    "predictionstring",
    "classname",
    "labelname",
    "categoryname",
    "wnid",
    "synset",
    "synsetid",
    "species",
    "breed",
    "classid",
    "labelid",
    "categoryid",
    "groundtruth",
    "y",
    "tag",
    "classlabel",
];

/// How the fields of a line are told apart.
#[derive(Clone, Copy)]
enum Delimiter {
    Sign(char),
    /// What is before the last blank, and what is behind it.
    LastBlank,
    Blanks,
}

/// Lines that are not empty, with their numbers.
#[derive(Clone)]
struct Lines<'a>(Vec<(usize, &'a str)>);

/// Reads a text. `notes` are what the user may want to know.
pub(crate) fn read<'a>(
    text: &'a str,
    known: &Known,
    notes: &mut Vec<String>,
) -> Result<Table<'a>, String> {
    // Spreadsheets put their delimiter first, as in `sep=;`.
    let preamble = |line: &str| line.len() <= 5 && line.starts_with("sep=");
    let lines = (1..).zip(text.lines());
    let lines = lines.skip_while(|(number, line)| *number == 1 && preamble(line));
    let lines = Lines(lines.filter(|(_, line)| !line.trim().is_empty()).collect());
    let &(_, first) = lines.0.first().ok_or("there is nothing in it")?;
    let signs = ['\t', ',', ';', '|'].map(Delimiter::Sign);
    let delimiters = signs
        .into_iter()
        .chain([Delimiter::LastBlank, Delimiter::Blanks]);
    // Another sign may by chance leave a name or two.
    let mut best = None;
    for delimiter in delimiters {
        let found = lines.names_at(delimiter, known.image);
        let most = best.map_or(0, |(_, _, most)| most);
        if let Some((names, count)) = found.filter(|&(_, count)| count > most) {
            best = Some((delimiter, names, count));
        }
    }
    if let Some((delimiter, names, _)) = best {
        let pairs = lines.pairs(delimiter, names, known, notes);
        return pairs.map(Table::Pairs);
    }
    if lines
        .0
        .iter()
        .any(|(_, line)| line.contains(['\t', ',', ';', '|']))
    {
        let cause = "none of the names in it is that of an image of the source";
        return Err(format!("{cause}; its first line is {first:?}"));
    }
    if lines.0.iter().any(|(_, line)| (known.image)(line.trim())) {
        return Err("names of images without classes; each line needs both".into());
    }
    lines.classes(text, known)
}

impl<'a> Lines<'a> {
    /// The column with names of images, if there is one, and how many different ones: the most.
    fn names_at(
        &self,
        delimiter: Delimiter,
        is_image: &dyn Fn(&str) -> bool,
    ) -> Option<(usize, usize)> {
        let mut found: Vec<HashSet<String>> = Vec::new();
        for (_, line) in self.0.iter().take(SAMPLE) {
            let Ok(fields) = fields(line, delimiter) else {
                continue;
            };
            if fields.len() < 2 {
                continue;
            }
            found.resize(found.len().max(fields.len()), HashSet::new());
            for (names, field) in found.iter_mut().zip(&fields) {
                if is_image(field) || is_image(field.trim()) {
                    names.insert(field.to_string());
                }
            }
        }
        let most = found
            .iter()
            .map(HashSet::len)
            .max()
            .filter(|&most| most > 0)?;
        let column = found.iter().position(|names| names.len() == most)?;
        Some((column, most))
    }

    fn pairs(
        &self,
        delimiter: Delimiter,
        names: usize,
        known: &Known,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Pair<'a>>, String> {
        let (number, line) = self.0[0];
        let first = fields(line, delimiter).map_err(|cause| format!("line {number}: {cause}"))?;
        if first.len() <= names {
            return Err(format!("line {number}: fewer fields than further down"));
        }
        let at = |column: usize, row: &[Cow<'a, str>]| row.get(column).cloned();
        let mut rows = Vec::with_capacity(self.0.len());
        let widest = first.len();
        let has_header = !(known.image)(&first[names]) && first.iter().any(|word| is_header(word));
        let classes = self.classes_at(delimiter, names, &first, has_header, notes)?;
        // The competition's `synset x y x y …`.
        let boxes = has_header && plain(&first[classes]) == "predictionstring";
        for &(number, line) in &self.0[usize::from(has_header)..] {
            let wrong = |cause: String| format!("line {number}: {cause}");
            let mut row = fields(line, delimiter).map_err(wrong)?;
            while row.len() > widest && row.last().is_some_and(|field| field.is_empty()) {
                row.pop();
            }
            // Among blanks, a field less may be a class of two words in the first line.
            let is_short = matches!(delimiter, Delimiter::Blanks) && row.len() < widest;
            if row.len() > widest || is_short {
                let cause = "fields where the first line has";
                let how = match delimiter {
                    Delimiter::Sign(_) => "quote what holds a comma",
                    _ => "put a tab between name and class",
                };
                let cause = format!("{} {cause} {widest}; {how}", row.len());
                return Err(wrong(cause));
            }
            let class = at(classes, &row).map(trimmed);
            let class = class.map(|class| if boxes { first_word(class) } else { class });
            let exact = |name: Cow<'a, str>| match name.trim() != name && !(known.image)(&name) {
                true => trimmed(name),
                false => name,
            };
            match (at(names, &row), class.filter(|class| !class.is_empty())) {
                (Some(name), Some(class)) => rows.push((exact(name), class)),
                _ => return Err(wrong("no class in it".into())),
            }
        }
        if !has_header && self.is_unknown_header(&rows, known) {
            notes.push(format!(
                "line 1, {line:?}, names no image and is taken for a header"
            ));
            rows.remove(0);
        }
        Ok(rows)
    }

    /// The column with the classes.
    fn classes_at(
        &self,
        delimiter: Delimiter,
        names: usize,
        first: &[Cow<str>],
        has_header: bool,
        notes: &mut Vec<String>,
    ) -> Result<usize, String> {
        let rows = self.0.iter().skip(1).take(SAMPLE);
        let rows: Vec<_> = rows
            .filter_map(|(_, line)| fields(line, delimiter).ok())
            .collect();
        let rest = || {
            if rows.is_empty() {
                [first.to_vec()].into()
            } else {
                rows.clone()
            }
        };
        let is_all = |column: usize, is: &dyn Fn(&str) -> bool| {
            rest()
                .iter()
                .all(|row| row.get(column).is_none_or(|field| is(field)))
        };
        let others = (0..first.len()).filter(|&column| column != names);
        let others: Vec<usize> = others
            .filter(|&c| !is_all(c, &str::is_empty) || !has_header && !first[c].is_empty())
            .collect();
        if let [only] = others[..] {
            return Ok(only);
        }
        let chosen = if has_header {
            let words: Vec<String> = first.iter().map(|word| plain(word)).collect();
            let at = |wanted: &&str| others.iter().copied().find(|&c| words[c] == **wanted);
            CLASSES.iter().find_map(at)
        } else {
            // Boxes and other measures are numbers; beside splits, numbers may be the classes.
            let is_other = |field: &str| field.parse::<f64>().is_ok() || is_split(field);
            let mut words = others.iter().copied().filter(|&c| !is_all(c, &is_other));
            words.next().filter(|_| words.next().is_none())
        };
        let Some(chosen) = chosen else {
            let columns = first.join(", ");
            let cause = "which of the columns has the classes? Keep one beside the names";
            return Err(format!("{cause}; the first line is: {columns}"));
        };
        let column = match has_header {
            true => format!("{:?}", first[chosen]),
            false => format!("that begins with {:?}", first[chosen]),
        };
        notes.push(format!("classes are taken from the column {column}"));
        Ok(chosen)
    }

    /// Whether the first row is a header with words of its own: no image, and a class like no other.
    fn is_unknown_header(&self, rows: &[Pair], known: &Known) -> bool {
        let Some(((name, class), rest)) = rows.split_first() else {
            return false;
        };
        let given = known.class.is_some_and(|is_class| is_class(class));
        let alone = !rest.is_empty() && rest.iter().all(|(_, other)| other != class);
        !(known.image)(name) && !is_named_like_an_image(name) && !given && alone
    }

    /// A class a line, for image 1, 2, …
    fn classes(&self, text: &'a str, known: &Known) -> Result<Table<'a>, String> {
        let last = self.0.last().map_or(0, |(number, _)| *number);
        if last > self.0.len() {
            let empty = text.lines().position(|line| line.trim().is_empty());
            let empty = empty.unwrap_or_default() + 1;
            return Err(format!("line {empty} is empty; which image has no class?"));
        }
        let mut classes: Vec<&str> = self.0.iter().map(|(_, line)| line.trim()).collect();
        let number = |class: &&str| class.bytes().all(|b| b.is_ascii_digit());
        let given = known.class.is_some_and(|is_class| is_class(classes[0]));
        let among_numbers = !number(&classes[0]) && classes[1..].iter().all(number);
        if classes.len() > 1 && !given && (is_header(classes[0]) || among_numbers) {
            classes.remove(0);
        }
        let different: HashSet<&str> = classes.iter().copied().collect();
        let has_columns = |class: &&str| class.contains(char::is_whitespace);
        if classes.len() > 1 && different.len() == classes.len() && classes.iter().all(has_columns)
        {
            let cause =
                "each line would be a class of its own, and none begins with an image's name";
            return Err(format!("{cause}; its first is {:?}", classes[0]));
        }
        Ok(Table::Classes(classes))
    }
}

fn trimmed(field: Cow<str>) -> Cow<str> {
    match field {
        Cow::Borrowed(text) => text.trim().into(),
        Cow::Owned(text) => text.trim().to_string().into(),
    }
}

/// Letters and digits alone, small.
fn plain(word: &str) -> String {
    let letters = word.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

fn is_header(word: &str) -> bool {
    let word = plain(word);
    NAMES.contains(&word.as_str()) || CLASSES.contains(&word.as_str())
}

fn first_word(text: Cow<str>) -> Cow<str> {
    let word = text.split_whitespace().next().unwrap_or_default();
    Cow::Owned(word.into())
}

/// The fields of a line. One in quotes may hold the delimiter; two quotes in it are one.
fn fields(line: &str, delimiter: Delimiter) -> Result<Vec<Cow<'_, str>>, String> {
    let sign = match delimiter {
        Delimiter::Sign(sign) => sign,
        Delimiter::Blanks => return Ok(line.split_whitespace().map(Cow::from).collect()),
        Delimiter::LastBlank => {
            let parts = line.trim().rsplit_once(char::is_whitespace);
            let parts = parts.map(|(name, class)| vec![name.trim_end().into(), class.into()]);
            return Ok(parts.unwrap_or_default());
        }
    };
    if !line.contains('"') {
        // Blanks are a part of a name where nothing but a tab ends it.
        let fields = line.split(sign);
        return Ok(match sign {
            '\t' => fields.map(Cow::from).collect(),
            _ => fields.map(|field| field.trim().into()).collect(),
        });
    }
    let (mut fields, mut rest) = (Vec::new(), line);
    loop {
        let quoted = rest
            .trim_start_matches(|c: char| c == ' ' && sign != ' ')
            .strip_prefix('"');
        let (field, after) = match quoted {
            None => {
                let (field, after) = rest
                    .split_once(sign)
                    .map_or((rest, None), |(f, a)| (f, Some(a)));
                (field.trim().to_string(), after)
            }
            Some(quoted) => unquote(quoted, sign)?,
        };
        fields.push(Cow::Owned(field));
        let Some(after) = after else {
            return Ok(fields);
        };
        rest = after;
    }
}

/// What is in the quotes of which the first is gone, and what follows the next delimiter.
fn unquote(text: &str, sign: char) -> Result<(String, Option<&str>), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"').ok_or("a quote that does not end")?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => {
                let (behind, after) = after
                    .split_once(sign)
                    .map_or((after, None), |(b, a)| (b, Some(a)));
                if !behind.trim().is_empty() {
                    return Err("text behind a quote".into());
                }
                return Ok((field, after));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{classes, truth};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-d1. \"ä]{0,6}[\t ,;\n\"]){0,20}") {
            let image = &|name: &str| name.contains('a');
            let table = read(&text, &Known { image, class: None }, &mut Vec::new());
            let _ = table.map(|table| truth::resolve(&table, None, None));
            let _ = classes::parse(&text);
        }

        #[test]
        fn quoted_fields_are_read_as_written(
            rows in prop::collection::vec("[ -~]{0,5}[!-~][ -~]{0,5}", 1..6), sign in "[,;|]",
        ) {
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let line = |(number, class): (usize, &String)| format!("i{number}{sign}{}\n", quoted(class));
            let text: String = rows.iter().enumerate().map(line).collect();
            let image = &|name: &str| name.strip_prefix('i').is_some_and(|n| n.parse::<u8>().is_ok());
            let table = read(&text, &Known { image, class: None }, &mut Vec::new());
            let trimmed = |(number, class): (usize, &String)| (format!("i{number}").into(), class.trim().to_string().into());
            let expected = rows.iter().enumerate().map(trimmed).collect();
            prop_assert_eq!(table, Ok(Table::Pairs(expected)));
        }
    }
}
