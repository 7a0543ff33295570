//! Writes a devkit's `meta.mat`: MATLAB's format 5, not compressed.

/// A class, or a word above classes.
pub(super) struct Synset {
    pub(super) id: u32,
    pub(super) wnid: String,
    pub(super) words: String,
    /// The numbers of the synsets below it.
    pub(super) children: Vec<u32>,
}

/// The file for the challenge of `year`.
pub(super) fn write(year: &str, synsets: &[Synset]) -> Vec<u8> {
    let id = format!("ILSVRC{year}_ID");
    let fields = [
        id.as_str(),
        "WNID",
        "words",
        "gloss",
        "num_children",
        "children",
    ];
    let mut names = Vec::new();
    for field in fields {
        let mut name = field.as_bytes().to_vec();
        name.resize(32, 0);
        names.extend(name);
    }
    let mut body = head(2, &[synsets.len() as i32, 1], "synsets");
    body.extend(element(5, &32i32.to_le_bytes()));
    body.extend(element(1, &names));
    for synset in synsets {
        let children: Vec<f64> = synset
            .children
            .iter()
            .map(|&child| f64::from(child))
            .collect();
        body.extend(numbers(&[f64::from(synset.id)]));
        body.extend(text(&synset.wnid));
        body.extend(text(&synset.words));
        body.extend(text("drawn"));
        body.extend(numbers(&[children.len() as f64]));
        body.extend(numbers(&children));
    }
    let mut file = b"MATLAB 5.0 MAT-file, drawn".to_vec();
    file.resize(124, b' ');
    file.extend([0, 1, b'I', b'M']);
    file.extend(element(14, &body));
    file
}

fn element(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [kind, data.len() as u32].map(u32::to_le_bytes).concat();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// What every array begins with: its class, its sides, its name.
fn head(class: u32, sides: &[i32], name: &str) -> Vec<u8> {
    let sides: Vec<u8> = sides.iter().flat_map(|side| side.to_le_bytes()).collect();
    let flags = element(6, &[class, 0].map(u32::to_le_bytes).concat());
    [flags, element(5, &sides), element(1, name.as_bytes())].concat()
}

fn text(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let body = [
        head(4, &[1, (units.len() / 2) as i32], ""),
        element(4, &units),
    ]
    .concat();
    element(14, &body)
}

fn numbers(values: &[f64]) -> Vec<u8> {
    let data: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    element(
        14,
        &[head(6, &[1, values.len() as i32], ""), element(9, &data)].concat(),
    )
}
