//! Pieces of HTML. What comes from outside is only ever written through [`escape`] or [`json`].

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use console::escaped;
use serde::Serialize;

/// Text as it stands in HTML, in an element or between quotation marks.
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in escaped(text).to_string().chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// A value as JSON that may stand in a `script` element: nothing in it can end that.
pub fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}

/// A file's bytes as an address.
pub fn data_url(kind: &str, bytes: &[u8]) -> String {
    format!("data:image/{kind};base64,{}", STANDARD.encode(bytes))
}

/// A share in %, with a digit behind the point.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A cell of a table.
pub enum Cell {
    /// Anything, which is escaped.
    Text(String),
    /// A number, to the right.
    Number(String),
}

impl Cell {
    fn html(&self, tag: &str) -> String {
        match self {
            Cell::Text(text) => format!("<{tag}>{}</{tag}>", escape(text)),
            Cell::Number(text) => format!("<{tag} class=\"number\">{}</{tag}>", escape(text)),
        }
    }
}

/// A row and its class.
pub struct Row {
    /// Empty for none.
    pub class: &'static str,
    /// From left to right.
    pub cells: Vec<Cell>,
}

impl From<Vec<Cell>> for Row {
    fn from(cells: Vec<Cell>) -> Self {
        Row { class: "", cells }
    }
}

/// A table; a column is headed as its first row's cell is set.
pub fn table(caption: &str, heads: &[&str], rows: &[Row]) -> String {
    let number = |column: usize| {
        let first = rows.first().and_then(|row| row.cells.get(column));
        matches!(first, Some(Cell::Number(_)))
    };
    let heads = heads.iter().enumerate().map(|(i, head)| match number(i) {
        true => Cell::Number((*head).into()).html("th"),
        false => Cell::Text((*head).into()).html("th"),
    });
    let rows = rows.iter().map(|row| {
        let cells: String = row.cells.iter().map(|cell| cell.html("td")).collect();
        format!("<tr class=\"{}\">{cells}</tr>\n", row.class)
    });
    format!(
        "<div class=\"scroll\"><table><caption><span>{}</span></caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody></table></div>\n",
        escape(caption),
        heads.collect::<String>(),
        rows.collect::<String>()
    )
}

/// A template with its `{{names}}` replaced, each once; what is put in is not looked at again.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut parts = template.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
        let value = values.iter().find(|(key, _)| *key == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        filled.push_str(rest);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let name = "</script><img src=x onerror='a()'>\"&{{title}}";
        assert_eq!(
            escape(name),
            "&lt;/script&gt;&lt;img src=x onerror=&#39;a()&#39;&gt;&quot;&amp;{{title}}"
        );
        let written = json(&name).unwrap();
        assert!(!written.contains('<'), "{written}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), name);
        let page = fill(
            "{{title}}|{{other}}|{{none}}|",
            &[("title", name), ("other", "b")],
        );
        assert_eq!(page, format!("{name}|b||"));
    }
}
