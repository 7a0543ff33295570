//! What a network makes of a set, as HTML.

use crate::report::html::{data_url, escape, percent};
use crate::report::neighbours::Neighbours;
use crate::report::picture::Picture;
use crate::report::predictions::{Confusion, Example, Predicted};

/// The predictions, the confusions, the best and the worst, the neighbours.
pub fn section(predicted: &Predicted) -> String {
    let Predicted { images, of, .. } = predicted;
    let seen = match images == of {
        true => format!("all {of} images"),
        false => format!("{images} of {of} images, spread over the set"),
    };
    format!(
        "<h3>Predictions</h3>\n<p>Centre crops of {seen}: {} top-1 error, {} top-5.</p>\n{}{}{}{}",
        percent(predicted.top1_error),
        percent(predicted.top5_error),
        confusion(&predicted.confusion),
        examples("Surest and right", &predicted.best),
        examples("Furthest off", &predicted.worst),
        predicted
            .neighbours
            .as_ref()
            .map(neighbours)
            .unwrap_or_default()
    )
}

fn confusion(confusion: &Confusion) -> String {
    if confusion.classes.is_empty() {
        return String::new();
    }
    let heads = confusion
        .classes
        .iter()
        .map(String::as_str)
        .chain(["another"]);
    let heads: String = heads
        .map(|name| format!("<th scope=\"col\">{}</th>", escape(name)))
        .collect();
    let row = |(i, (images, taken)): (usize, &(usize, Vec<usize>))| {
        let another = images - taken.iter().sum::<usize>();
        let cells = taken
            .iter()
            .chain([&another])
            .enumerate()
            .map(|(j, &count)| {
                let class = if i == j { "right" } else { "" };
                let share = count as f64 / *images as f64;
                format!("<td class=\"{class}\" style=\"--share: {share:.3}\">{count}</td>")
            });
        let name = escape(&confusion.classes[i]);
        format!(
            "<tr><th scope=\"row\">{name}</th>{}<td>{images}</td></tr>\n",
            cells.collect::<String>()
        )
    };
    let rows: String = confusion.rows.iter().enumerate().map(row).collect();
    format!(
        "<div class=\"scroll\"><table class=\"confusion\"><caption><span>The classes missed most often (rows), and what their \
         images were taken for.</span></caption>\n<thead><tr><td></td>{heads}<th scope=\"col\">images</th></tr></thead>\n\
         <tbody>{rows}</tbody></table></div>\n"
    )
}

fn examples(title: &str, examples: &[Example]) -> String {
    if examples.is_empty() {
        return String::new();
    }
    let card = |example: &Example| {
        let bars = example.bars.iter().map(|(class, share, right)| {
            let right = if *right { "right" } else { "" };
            let (class, shown) = (escape(class), percent((*share).into()));
            format!("<li class=\"{right}\" style=\"--share: {share:.3}\"><span>{class}</span><span>{shown}</span></li>")
        });
        let class = escape(&example.picture.class);
        format!(
            "<div class=\"card\" title=\"{}\">{}<div><strong>{class}</strong><ol>{}</ol></div></div>\n",
            escape(&example.picture.source),
            image(&example.picture),
            bars.collect::<String>()
        )
    };
    let cards: String = examples.iter().map(card).collect();
    format!("<h3>{title}</h3>\n<div class=\"cards\">\n{cards}</div>\n")
}

fn image(picture: &Picture) -> String {
    let source = escape(&picture.source);
    let url = data_url("jpeg", &picture.jpeg);
    format!("<img src=\"{url}\" alt=\"{source}\">")
}

fn neighbours(neighbours: &Neighbours) -> String {
    let Neighbours { layer, among, rows } = neighbours;
    let figure = |of: &str, picture: &Picture, note: &str| {
        format!(
            "<figure class=\"{of}\" title=\"{}\">{}<figcaption>{}<br>{note}</figcaption></figure>",
            escape(&picture.source),
            image(picture),
            escape(&picture.class)
        )
    };
    let row = |(asked, nearest): &(Picture, Vec<(Picture, f64)>)| {
        let nearest = nearest.iter().map(|(picture, distance)| {
            let of = match picture.class == asked.class {
                true => "same",
                false => "other",
            };
            figure(of, picture, &format!("{distance:.2}"))
        });
        let nearest: String = nearest.collect();
        format!(
            "<div class=\"like\">{}{nearest}</div>\n",
            figure("asked", asked, "nearest:")
        )
    };
    let rows: String = rows.iter().map(row).collect();
    let layer = escape(layer);
    format!(
        "<h3>Nearest neighbours</h3>\n<p>The first image of a class, and those of {among} images that are most like it: \
         the Euclidean distance of what {layer} makes of them stands below.</p>\n{rows}"
    )
}
